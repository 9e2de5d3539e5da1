/** Which community the page shows, and the words and units that follow from it. */
import { api } from '../api/client';
import type { Community, CommunityHead, MemberRow } from '../api/community';
import type { Voice } from '../text/sentence';
import { live } from './live.svelte';
import { prefs, recall, remember } from './prefs.svelte';
import { Resource } from './resource.svelte';

class Session {
  /** All communities on this server. */
  communities = new Resource(() => api.communities());
  stack = new Resource(() => api.stack());
  private chosen = $state<string | null>(recall('community'));

  /** The community shown: the chosen one if it still exists, or the first. */
  get head(): CommunityHead | null {
    const all = this.communities.data?.communities ?? [];
    return all.find((head) => head.community_id === this.chosen) ?? all[0] ?? null;
  }

  choose(communityId: string): void {
    this.chosen = communityId;
    remember('community', communityId);
    live.refresh();
  }
}

export const session = new Session();

/** What every view of a community shares, loaded once for all of them. */
export class Shared {
  community: Resource<Community>;
  members: Resource<{ members: MemberRow[] }>;

  constructor(readonly head: CommunityHead) {
    this.community = new Resource(() => api.community(head.community_id));
    this.members = new Resource(() => api.members(head.community_id));
  }

  /** Seconds of metered life that one slot stands for. */
  get slotSeconds(): number {
    return this.community.data?.profile_seconds_per_slot ?? this.head.slot_length_s;
  }

  get voice(): Voice {
    return { words: prefs.words, lang: prefs.lang, currency: this.head.currency, slotSeconds: this.slotSeconds };
  }

  /** The member behind a pseudonym, so that names can link; null for community accounts. */
  memberOf(pseudonym: string): MemberRow | null {
    return this.members.data?.members.find((row) => row.pseudonym === pseudonym) ?? null;
  }
}
