/** A list whose newest page follows the market while older pages are added on request. */
import { untrack } from 'svelte';
import { mergeSlots, overlaps, type BySlot } from './pages';

/** A page of rows, newest first; `cursor` asks for the next older page, null at the end. */
export interface Page<T> {
  rows: T[];
  cursor: string | null;
}

export class Paged<T extends BySlot> {
  private held = $state.raw<Page<T> | null>(null);

  constructor(
    private readonly newest: () => Page<T>,
    private readonly load: (before: string) => Promise<Page<T>>,
  ) {
    $effect(() => {
      const page = newest();
      untrack(() => this.follow(page));
    });
  }

  get rows(): T[] {
    return this.held === null ? this.newest().rows : mergeSlots(this.held.rows, this.newest().rows);
  }

  /** Null when all rows are there. */
  get cursor(): string | null {
    return this.held === null ? this.newest().cursor : this.held.cursor;
  }

  /** Adds the next older page. */
  async more(): Promise<void> {
    const before = this.cursor;
    if (before === null) return;
    const known = this.rows;
    const page = await this.load(before);
    this.held = { rows: mergeSlots(page.rows, known), cursor: page.cursor };
  }

  /** Keeps what moves out of the newest page. After a long sleep there may be a hole: then start over. */
  private follow(page: Page<T>): void {
    if (this.held === null) return;
    this.held = overlaps(this.held.rows, page.rows)
      ? { rows: mergeSlots(this.held.rows, page.rows), cursor: this.held.cursor }
      : null;
  }
}
