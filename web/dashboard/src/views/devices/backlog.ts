/** What waits at agents. The outbox is the agent's, so it is told once an agent and not at each of its devices. */
import type { Device } from '../../api/devices';

export interface Backlog {
  agent: string;
  records: number;
  oldestAt: string;
}

/**
 * The agents whose records wait for more than a slot. An agent tells how it is right after a slot's end, when the
 * readings of that end have just entered its outbox: those are no backlog. Nor is what was stored since it told: once
 * each of its devices has the reading of that slot's end, nothing of what it told of waits any more.
 */
export function backlogs(devices: Device[], slotLengthS: number): Backlog[] {
  const length = slotLengthS * 1000;
  const found = new Map<string, Backlog>();
  for (const { agent_id: agent, outbox_records: records, outbox_oldest_at: oldestAt, last_health_at: told, last_slot_end: stored } of devices) {
    if (agent === null || !records || oldestAt === null || told === null) continue;
    const end = Math.floor(Date.parse(told) / length) * length;
    if (Date.parse(oldestAt) >= end || (stored !== null && Date.parse(stored) >= end)) continue;
    found.set(agent, { agent, records, oldestAt });
  }
  return [...found.values()];
}
