/** Waits for the market's decision on a command, for a few seconds. */
import { api } from '../api/client';
import type { Command } from '../api/market';

const TRIES = 8;
const PAUSE_MS = 700;

/** The command once it is decided, or as it is when patience ends. */
export async function decided(community: string, sent: Command): Promise<Command> {
  let command = sent;
  for (let tries = 0; command.status === 'submitted' && tries < TRIES; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    command = await api.market.command(community, command.command_id);
  }
  return command;
}
