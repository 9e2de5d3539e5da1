// Compares what slither found with what is explained:
//   node scripts/slither-report.mjs REPORT.json ALLOWED.txt
import { readFileSync } from "node:fs";
import { exit } from "node:process";
import { fail } from "./forge.mjs";

/** What a finding is about: the contract and its function or variable, or the file's statement. */
function subjectOf({ elements, check }) {
  const [first] = elements;
  if (first === undefined || check === "pragma") return "-";
  const parent = first.type_specific_fields?.parent;
  if (parent === undefined) return first.name;
  const contract = parent.type_specific_fields?.parent;
  return [contract?.name, parent.name, first.name].filter((name) => name !== undefined).join(".");
}

/** The findings by "detector subject"; the text of several of one key is joined. */
function findingsOf(path) {
  const report = JSON.parse(readFileSync(path, "utf8"));
  if (report.success !== true) fail(`slither failed: ${report.error}`);
  const found = new Map();
  for (const finding of report.results.detectors ?? []) {
    const key = `${finding.check} ${subjectOf(finding)}`;
    found.set(key, (found.get(key) ?? "") + `${finding.impact}: ${finding.description}`);
  }
  return found;
}

/** The keys that are allowed. A line without a reason allows nothing. */
function allowedOf(path) {
  const keys = new Set();
  let reason = false;
  for (const line of readFileSync(path, "utf8").split("\n").map((text) => text.trim())) {
    if (line === "") reason = false;
    else if (line.startsWith("#")) reason = true;
    else if (!reason) fail(`${path}: "${line}" has no reason above it`);
    else keys.add(line.split(/\s+/).join(" "));
  }
  return keys;
}

const [, , report, allowList] = process.argv;
if (process.argv.length !== 4) fail("usage: node scripts/slither-report.mjs REPORT.json ALLOWED.txt");
const found = findingsOf(report);
const allowed = allowedOf(allowList);
const unexplained = [...found].filter(([key]) => !allowed.has(key));
const gone = [...allowed].filter((key) => !found.has(key));
for (const [key, text] of unexplained) console.error(`not explained: ${key}\n${text}`);
for (const key of gone) console.error(`no longer found, take it out of ${allowList}: ${key}`);
if (unexplained.length + gone.length > 0) exit(1);
console.log(`slither: ${found.size} findings, each explained in ${allowList}`);
