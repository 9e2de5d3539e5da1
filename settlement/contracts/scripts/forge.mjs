// Runs the forge that npm installed: `node scripts/forge.mjs test -vv`.
// It starts the program of the platform's package. The launcher package @foundry-rs/forge is left out: it ends with
// status 0 whatever forge said, so a failed test would pass for a good one.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { argv, arch, exit, platform, stderr } from "node:process";
import { fileURLToPath } from "node:url";

/** The folder of the contracts, wherever the script was started from. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Ends the program with one line that says what is wrong and what to do. */
export function fail(message) {
  stderr.write(`${message}\n`);
  exit(1);
}

/** Path of the forge for this platform. */
function forgePath() {
  const name = `forge-${platform}-${arch === "x64" ? "amd64" : arch}`;
  try {
    return createRequire(import.meta.url).resolve(`@foundry-rs/${name}/bin/forge${platform === "win32" ? ".exe" : ""}`);
  } catch {
    return fail(
      `@foundry-rs/${name} is not installed: run "npm ci" in settlement/contracts; ` +
        `if this platform is not linux-x64, then "npm install --no-save @foundry-rs/${name}@1.7.1"`,
    );
  }
}

/** Runs forge in the folder of the contracts. `options` as of spawnSync. */
export function forge(args, options) {
  const run = spawnSync(forgePath(), args, { cwd: ROOT, ...options });
  if (run.error) fail(`forge does not start: ${run.error.message}`);
  return run;
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  // A forge that a signal ended has no status.
  exit(forge(argv.slice(2), { stdio: "inherit" }).status ?? 1);
}
