/** One thing that a view shows: loaded, loaded again on every tick, and kept while the server is away. */
import { untrack } from 'svelte';
import { ApiError } from '../api/client';
import { live } from './live.svelte';

export class Resource<T> {
  /** The last good answer. Stays when a later load fails. */
  data = $state.raw<T | null>(null);
  /** Why the last load failed; null when it did not. */
  error = $state.raw<Error | null>(null);
  private running = false;

  constructor(private readonly load: () => Promise<T>) {}

  /** Loads once; a second call while one is running does nothing, the next tick comes soon. */
  async refresh(): Promise<void> {
    if (this.running) return;
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
