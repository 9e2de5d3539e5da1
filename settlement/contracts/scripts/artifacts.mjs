// The committed artifacts: what is deployed, made from the sources here.
//   node scripts/artifacts.mjs write   builds and writes artifacts/*.json
//   node scripts/artifacts.mjs check   builds and fails if the committed files say anything else
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, fail, forge } from "./forge.mjs";

const ARTIFACTS = join(ROOT, "artifacts");
// Contract name to the source file that forge files it under.
const CONTRACTS = {
  AccessManager: "AccessManager.sol",
  DemoEuro: "DemoEuro.sol",
  EnergyCredit: "EnergyCredit.sol",
};

const readJson = (path) => JSON.parse(readFileSync(path, "utf8"));

/** What made the bytes: a change of any of these explains a change of the bytecode. */
function compilerOf(metadata) {
  const { settings, compiler } = metadata;
  return {
    solc: compiler.version,
    evmVersion: settings.evmVersion,
    optimizerRuns: settings.optimizer.runs,
    viaIR: settings.viaIR === true,
    openzeppelin: readJson(join(ROOT, "node_modules/@openzeppelin/contracts/package.json")).version,
  };
}

/** Where the constructor's values stand in the deployed code, which the artifact has zeros for. */
function immutablesOf(references) {
  return Object.values(references ?? {}).flat().sort((a, b) => a.start - b.start);
}

function artifactOf(contractName, out) {
  const built = readJson(join(out, CONTRACTS[contractName], `${contractName}.json`));
  for (const part of [built.bytecode, built.deployedBytecode]) {
    if (Object.keys(part.linkReferences).length > 0) fail(`${contractName} needs a library linked; the deployer links none`);
  }
  const artifact = {
    contractName,
    abi: built.abi,
    bytecode: built.bytecode.object,
    deployedBytecode: built.deployedBytecode.object,
    immutables: immutablesOf(built.deployedBytecode.immutableReferences),
    compiler: compilerOf(built.metadata),
  };
  return `${JSON.stringify(artifact, null, 2)}\n`;
}

/** Compiles the sources, not the tests, from nothing. */
function build(out, cache) {
  const args = ["build", "--force", "--skip", "test", "--out", out, "--cache-path", cache];
  const run = forge(args, { encoding: "utf8" });
  if (run.status !== 0) fail(`forge build failed:\n${run.stdout}${run.stderr}`);
}

/** Text of each artifact by its file name, from a build in a folder that is thrown away. */
function buildArtifacts() {
  const scratch = mkdtempSync(join(tmpdir(), "busbar-artifacts-"));
  try {
    const out = join(scratch, "out");
    build(out, join(scratch, "cache"));
    return new Map(Object.keys(CONTRACTS).map((name) => [`${name}.json`, artifactOf(name, out)]));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** In words, where the committed text differs from the built one; null if it does not. */
function difference(file, built) {
  let text;
  try {
    text = readFileSync(join(ARTIFACTS, file), "utf8");
  } catch {
    return `${file}: missing`;
  }
  if (text === built) return null;
  let committed;
  try {
    committed = JSON.parse(text);
  } catch (error) {
    return `${file}: not JSON (${error.message})`;
  }
  const rebuilt = JSON.parse(built);
  const keys = Object.keys({ ...rebuilt, ...committed }).filter(
    (key) => JSON.stringify(committed[key]) !== JSON.stringify(rebuilt[key]),
  );
  return `${file}: ${keys.length > 0 ? `${keys.join(", ")} differ` : "only its layout differs"}`;
}

function write() {
  const artifacts = buildArtifacts();
  mkdirSync(ARTIFACTS, { recursive: true });
  for (const [file, text] of artifacts) {
    writeFileSync(join(ARTIFACTS, file), text);
    console.log(`artifacts/${file}: ${(JSON.parse(text).deployedBytecode.length - 2) / 2} bytes deployed`);
  }
}

function check() {
  const artifacts = buildArtifacts();
  const problems = [...artifacts].map(([file, text]) => difference(file, text)).filter((problem) => problem !== null);
  for (const file of readdirSync(ARTIFACTS)) {
    if (!artifacts.has(file)) problems.push(`${file}: made by no source`);
  }
  if (problems.length > 0) {
    fail(`the committed artifacts are not what the sources give:\n  ${problems.join("\n  ")}\nrun "npm run artifacts" in settlement/contracts and commit artifacts/`);
  }
  console.log(`${artifacts.size} artifacts are what the sources give`);
}

const commands = { write, check };
const command = commands[process.argv[2]];
if (process.argv.length !== 3 || command === undefined) fail("usage: node scripts/artifacts.mjs write|check");
command();
