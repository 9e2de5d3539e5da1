// The mock's devices: most are well; a few show what can go wrong.
import { MEMBERS, chance } from './market.mjs';

const DAY_MS = 86_400_000;
const STATES = ['ok', 'ok', 'failing', 'ok', 'asleep', 'ok', 'silent', 'ok', 'doubted', 'ok', 'unknown'];
const ago = (ms) => new Date(Date.now() - ms).toISOString();

export function devices(answers, member) {
  if (answers.empty) return { devices: [] };
  return { devices: MEMBERS.map((m, index) => device(m, index)).filter((d) => member === null || d.member_id === member) };
}

function device(member, index) {
  const state = STATES[index % STATES.length];
  const known = state !== 'unknown';
  return {
    meter_id: `sdm-${member.member_id.slice(2)}`, site_id: `site-${member.member_id.slice(2)}`, member_id: member.member_id, agent_id: known ? `agent-${index + 1}` : null, template_id: 'eastron-sdm630', state,
    error_class: state === 'failing' ? 'timeout' : state === 'doubted' ? 'register_stuck' : null, state_since: known ? ago(5_400_000 + index * 60_000) : null, last_slot_end: known ? ago(state === 'silent' ? 7_200_000 : 9_000) : null,
    last_success_at: known ? ago(state === 'failing' ? 3_600_000 : 6_000) : null, last_health_at: known ? ago(12_000) : null, outbox_records: known ? (state === 'failing' ? 42 : 0) : null, outbox_oldest_at: state === 'failing' ? ago(3_600_000) : null,
    certificate_days: known ? (index === 4 ? -1 : 200 - index) : null, clock: known ? ['synchronised', 'unsynchronised', 'unknown'][index % 5 === 3 ? 1 : 0] : null, errors: state === 'failing' ? [{ class: 'timeout', count: 17 }, { class: 'connect', count: 2 }] : [],
    completeness: known ? days(index) : [],
  };
}

/** Every third device lost a part of some days; the device lost one day's duty wholly. */
function days(index) {
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  return Array.from({ length: 31 }, (_, n) => n).filter((n) => n !== 6).map((n) => {
    const due = n === 0 ? 49 : 96;
    const lost = index % 3 === 2 && n % 5 === 1 ? Math.floor(due * chance(index, n)) : 0;
    return { day: new Date(today - n * DAY_MS).toISOString().slice(0, 10), stored: due - lost, due };
  });
}

const EVENTS = [
  ['device_unreachable', 'alarm', 'unit 1 at tcp://10.0.0.5:502 did not answer within 1000 ms'],
  ['device_back', 'info', 'unit 1 at tcp://10.0.0.5:502 answers again after 4 min'],
  ['register_stuck', 'warning', 'import has stood at 1204331 Wh for 24 h while power flowed'],
  ['certificate_expires', 'warning', 'the certificate of agent-3 is valid for 20 more days'],
  ['clock_synchronised', 'info', 'the clock is within 40 ms again'],
  ['something_new', 'info', 'a kind that this page does not know is shown by its words'],
];

/** 60 events, newest first, page by page. */
export function events(answers, member, limit, before) {
  if (answers.empty) return { events: [], next_before: null };
  const first = before === null ? 60 : Number(before) - 1;
  const ids = Array.from({ length: Math.max(0, Math.min(limit, first)) }, (_, n) => first - n);
  const rows = ids.map((id) => {
    const [kind, severity, words] = EVENTS[id % EVENTS.length];
    const at = 120_000 + (60 - id) * 1_740_000;
    return { event_id: id, at: ago(at), since: kind === 'device_back' ? ago(at + 240_000) : null, kind, severity, agent_id: 'agent-1', meter_id: member === null && id % 7 === 0 ? null : 'sdm-001', site_id: 'site-001', member_id: member, words };
  });
  return { events: rows, next_before: rows.length > 0 && rows.at(-1).event_id > 1 ? String(rows.at(-1).event_id) : null };
}
