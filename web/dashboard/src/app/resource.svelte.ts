/** One thing that a view shows: loaded, loaded again on every tick, and kept while the server is away. */
import { untrack } from 'svelte';
import { ApiError } from '../api/problem';
import { live } from './live.svelte';

export class Resource<T> {
  /** The last good answer. Stays when a later load fails. */
  data = $state.raw<T | null>(null);
  /** Why the last load failed; null when it did not. */
  error = $state.raw<Error | null>(null);
  private running = false;
  private stale = false;

  constructor(private readonly load: () => Promise<T>) {}

  /**
   * Loads once. A second call while one is running does nothing, the next tick comes soon; unless
   * `changed` says that the question is another one: then it is asked as soon as the running one is done.
   */
  async refresh(changed = false): Promise<void> {
    if (this.running) {
      this.stale ||= changed;
      return;
    }
    this.running = true;
    try {
      this.data = await this.load();
      this.error = null;
      live.answered();
    } catch (error) {
      this.error = error instanceof Error ? error : new Error(String(error));
      if (error instanceof ApiError && error.kind === 'unreachable') live.unanswered();
      else live.answered();
    } finally {
      this.running = false;
    }
    if (this.stale) {
      this.stale = false;
      await this.refresh();
    }
  }
}

/** A resource that follows the page's ticks for as long as the calling component lives. */
export function following<T>(load: () => Promise<T>): Resource<T> {
  const resource = new Resource(load);
  $effect(() => {
    void live.tick;
    untrack(() => void resource.refresh());
  });
  return resource;
}

/** Changes of a question are waited for this long, so that typing does not ask letter by letter. */
const SETTLE_MS = 350;

/** A resource that asks again whenever `key`, which the question depends on, is another one. */
export function asking<T>(key: () => string, load: () => Promise<T>): Resource<T> {
  const resource = new Resource(load);
  let first = true;
  $effect(() => {
    void key();
    const timer = setTimeout(() => void resource.refresh(true), first ? 0 : SETTLE_MS);
    first = false;
    return () => clearTimeout(timer);
  });
  return resource;
}
