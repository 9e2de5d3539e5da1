// `npm run mock -- [PORT]`: the dashboard on made-up figures, for looking at it while building it.
import { startMock } from './server.mjs';

const mock = await startMock({ port: Number(process.argv[2] ?? 8090) });
console.log(`The mock serves ${mock.url} until Ctrl-C.`);
