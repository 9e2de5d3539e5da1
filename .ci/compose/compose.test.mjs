// Checks the compose stack without an engine: its schema, and that every path, variable, secret and
// command it names exists. The services' own configuration check runs with each service's environment.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';
import { parse } from 'yaml';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
const compose = parse(text, { merge: true });
const services = Object.entries(compose.services);
let made;

before(() => {
  made = mkdtempSync(join(tmpdir(), 'busbar-compose-'));
  execFileSync(join(here, 'init'), { env: { ...process.env, BUSBAR_DIR: made } });
});
after(() => rmSync(made, { recursive: true, force: true }));

test('the file follows the compose specification', () => {
  const dclint = dirname(createRequire(import.meta.url).resolve('dclint/package.json'));
  const schema = JSON.parse(readFileSync(join(dclint, 'schemas/compose.schema.json'), 'utf8'));
  delete schema.$schema;
  const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema);
  assert.ok(validate(compose), JSON.stringify(validate.errors, null, 2));
});

test('every variable has a default or stands in the generated .env', () => {
  const env = readFileSync(join(made, '.env'), 'utf8');
  for (const [, name, fallback] of text.matchAll(/(?<!\$)\$\{([A-Z_]+)(:-[^}]*)?\}/g)) {
    assert.ok(fallback !== undefined || env.includes(`${name}=`), name);
  }
});

test('every file and folder it names exists or is made by init', () => {
  const named = [
    ...Object.values(compose.configs).map((entry) => entry.file),
    ...Object.values(compose.secrets).map((entry) => entry.file),
    ...services.flatMap(([, service]) => service.volumes ?? []).map((volume) => volume.split(':')[0]).filter((path) => path.startsWith('.')),
  ];
  assert.ok(named.length > 6);
  for (const path of named) {
    assert.ok(existsSync(join(root, path)) || existsSync(join(made, path)), path);
  }
});

test('every reference between services, volumes, networks, configs and secrets resolves', () => {
  for (const [name, service] of services) {
    for (const other of Object.keys(service.depends_on ?? {})) assert.ok(compose.services[other], `${name}: ${other}`);
    for (const network of service.networks ?? []) assert.ok(network in compose.networks, `${name}: ${network}`);
    for (const secret of service.secrets ?? []) assert.ok(compose.secrets[secret], `${name}: ${secret}`);
    for (const config of service.configs ?? []) assert.ok(compose.configs[config.source], `${name}: ${config.source}`);
    for (const value of Object.values(service.environment ?? {})) {
      const secret = /^\/run\/secrets\/(.+)$/.exec(String(value))?.[1];
      if (secret) assert.ok(service.secrets.includes(secret), `${name} reads ${secret} but is not given it`);
    }
  }
});

test('long-running services have a health check, and ours are confined', () => {
  for (const [name, service] of services) {
    if (service.restart !== 'no') assert.ok(service.healthcheck, name);
    if (!String(service.image).startsWith('busbar:')) continue;
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ['ALL'], name);
    assert.equal(service.user, '10001:10001', name);
  }
});

test('only the dashboard and MQTT over TLS are published', () => {
  const published = services.filter(([, service]) => service.ports).map(([name]) => name).sort();
  assert.deepEqual(published, ['mosquitto', 'web']);
});

test('secrets are generated, private to their owner, and never made twice', () => {
  const before = readFileSync(join(made, 'secrets/database_password'), 'utf8');
  assert.match(before, /^[0-9a-f]{64}\n$/);
  execFileSync(join(here, 'init'), { env: { ...process.env, BUSBAR_DIR: made } });
  assert.equal(readFileSync(join(made, 'secrets/database_password'), 'utf8'), before);
  assert.equal(statSync(join(made, 'secrets')).mode & 0o077, 0);
  assert.ok(!/password\s*[:=]\s*\S/i.test(text.replaceAll(/[a-z_]+_password/g, '')), 'a password in the compose file');
});

test('the Dockerfile copies what exists and builds the programs that the services run', () => {
  const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8');
  for (const [, sources] of dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
    for (const source of sources.split(' ')) assert.ok(existsSync(join(root, source)), source);
  }
  for (const [name, service] of ours()) {
    assert.ok(dockerfile.includes(`-p ${service.command[0]}`), `${name}: ${service.command[0]} is not built`);
  }
});

test('every command and health check is one its program knows', () => {
  for (const [name, service] of ours()) {
    const lines = [service.command, ...(service.healthcheck ? [service.healthcheck.test.slice(1)] : [])];
    for (const [program, subcommand] of lines) {
      const run = spawnSync(join(root, 'target/debug', program), [subcommand, '--help'], { encoding: 'utf8' });
      assert.equal(run.status, 0, `${name}: ${program} ${subcommand}: ${run.error ?? run.stderr}`);
    }
  }
});

test('keys are made encrypted, with a password of their own, before anybody opens them', () => {
  const made = new Map(
    services
      .filter(([, service]) => service.command?.[1] === 'keystore')
      .map(([name, service]) => [service.command[service.command.indexOf('--keystore') + 1], [name, service]]),
  );
  assert.deepEqual([...made.keys()].sort(), ['/keys/accounts.json', '/keys/signer.json']);
  for (const [name, service] of services) {
    const environment = service.environment ?? {};
    assert.ok(!Object.keys(environment).some((key) => /_KEY_FILE$|_SEED_FILE$/.test(key)), `${name} reads a plain key`);
    for (const which of ['SIGNER', 'ACCOUNT']) {
      const keystore = environment[`BUSBAR_CHAIN__${which}_KEYSTORE_FILE`];
      if (!keystore) continue;
      const [maker, { command }] = made.get(keystore);
      assert.equal(service.depends_on[maker].condition, 'service_completed_successfully', name);
      assert.deepEqual(service.volumes, ['keys:/keys:ro'], name);
      assert.equal(command[command.indexOf('--password-file') + 1], environment[`BUSBAR_CHAIN__${which}_PASSWORD_FILE`]);
    }
  }
});

test('each service accepts the shared configuration with its own environment', () => {
  for (const [name, service] of ours().filter(([, service]) => service.environment)) {
    const environment = Object.fromEntries(
      Object.entries(service.environment).map(([key, value]) => [
        key,
        String(value)
          .replace(/\$\{[A-Z_]+:-([^}]*)\}/g, '$1')
          .replace('/run/secrets/', `${join(made, 'secrets')}/`)
          .replace('/etc/busbar/busbar.toml', join(root, 'config/busbar.toml')),
      ]),
    );
    const run = spawnSync(join(root, 'target/debug', service.command[0]), ['--check-config'], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, ...environment },
    });
    assert.equal(run.status, 0, `${name}: ${run.error ?? run.stderr}`);
  }
});

function ours() {
  return services.filter(([, service]) => String(service.image).startsWith('busbar:'));
}
