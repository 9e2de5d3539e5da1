/** Devices: how each meter and inverter is, and what happened to it. Null is "not known", never zero. */
import { id, integer, list, nullable, object, text, time } from './decode';
import { getJson } from './http';
import { communityPath, query } from './paths';

/** Readings of a UTC day: stored on the platform, and due. */
export interface Day {
  day: string;
  stored: number;
  due: number;
}

export interface Device {
  meter_id: string;
  site_id: string;
  member_id: string;
  agent_id: string | null;
  template_id: string;
  state: string;
  error_class: string | null;
  state_since: string | null;
  last_slot_end: string | null;
  last_success_at: string | null;
  /** When its agent last told how it is. */
  last_health_at: string | null;
  /** Of its agent, all its devices together. */
  outbox_records: number | null;
  outbox_oldest_at: string | null;
  /** Whole days that the certificate of its agent is still valid; negative: expired, null: it has none, or was never heard. */
  certificate_days: number | null;
  clock: string | null;
  errors: { class: string; count: number }[];
  /** Newest first; a day on which nothing was due is left out. */
  completeness: Day[];
}

export const deviceList = object<{ devices: Device[] }>({
  devices: list(
    object<Device>({
      meter_id: text,
      site_id: text,
      member_id: text,
      agent_id: nullable(text),
      template_id: text,
      state: text,
      error_class: nullable(text),
      state_since: nullable(time),
      last_slot_end: nullable(time),
      last_success_at: nullable(time),
      last_health_at: nullable(time),
      outbox_records: nullable(integer),
      outbox_oldest_at: nullable(time),
      certificate_days: nullable(integer),
      clock: nullable(text),
      errors: list(object<{ class: string; count: number }>({ class: text, count: integer })),
      completeness: list(object<Day>({ day: time, stored: integer, due: integer })),
    }),
  ),
});

export interface DeviceEvent {
  event_id: string;
  at: string;
  since: string | null;
  kind: string;
  severity: string;
  meter_id: string | null;
  words: string;
}
export interface EventPage {
  events: DeviceEvent[];
  next_before: string | null;
}
export const eventPage = object<EventPage>({
  events: list(
    object<DeviceEvent>({
      event_id: id,
      at: time,
      since: nullable(time),
      kind: text,
      severity: text,
      meter_id: nullable(text),
      words: text,
    }),
  ),
  next_before: nullable(text),
});

export const devicesApi = {
  /** A member's devices, or all of the community. */
  list: (community: string, member: string | null) =>
    getJson(`${communityPath(community)}/devices${query({ member_id: member })}`, deviceList),
  events: (community: string, member: string | null, limit: number, before: string | null) =>
    getJson(`${communityPath(community)}/devices/events${query({ member_id: member, limit: String(limit), before })}`, eventPage),
};
