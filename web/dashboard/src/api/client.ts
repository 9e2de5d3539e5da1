/** The server's API, call by call. */
import { autopilotApi } from './autopilot';
import { community, communityList, memberList, stack } from './community';
import { devicesApi } from './devices';
import { getJson, getText } from './http';
import { linksApi } from './links';
import { marketApi } from './market';
import { member, statementPage } from './member';
import { communityPath as at, memberPath, query, ROOT } from './paths';
import { slotPage } from './slot';
import { slotDetail } from './slotDetail';
import { standingApi } from './standing';

export const api = {
  communities: () => getJson(`${ROOT}/communities`, communityList),
  community: (id: string) => getJson(at(id), community),
  members: (id: string) => getJson(`${at(id)}/members`, memberList),
  slots: (id: string, limit: number, before: string | null) =>
    getJson(`${at(id)}/slots${query({ limit: String(limit), before })}`, slotPage),
  slot: (id: string, start: string) => getJson(`${at(id)}/slots/${encodeURIComponent(start)}`, slotDetail),
  member: (id: string, memberId: string) => getJson(memberPath(id, memberId), member),
  statements: (id: string, memberId: string, limit: number, before: string | null) =>
    getJson(`${memberPath(id, memberId)}/statements${query({ limit: String(limit), before })}`, statementPage),
  /** A receipt's file, to the byte. */
  receipt: (id: string, memberId: string, start: string) =>
    getText(`${memberPath(id, memberId)}/receipts/${encodeURIComponent(start)}`),
  stack: () => getJson(`${ROOT}/stack`, stack),
  /** Where the server streams what happens, as server-sent events. */
  liveUrl: (id: string) => `${at(id)}/live`,
  market: marketApi,
  autopilot: autopilotApi,
  devices: devicesApi,
  links: linksApi,
  standing: standingApi,
};
