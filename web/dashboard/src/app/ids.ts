import { ApiError } from '../api/problem';

/** An id made before the first try, so that the same thing sent again is known as the same. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `web-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** Keeps the id of a try for as long as its content stays the same and it has not been answered. */
export class Attempt {
  private content: string | null = null;
  private held = '';

  /** The id for this content. */
  idFor(content: unknown): string {
    const written = JSON.stringify(content);
    if (this.content !== written) {
      this.content = written;
      this.held = newId();
    }
    return this.held;
  }

  /** The try failed: an answer ends it too, silence does not. */
  failed(error: unknown): void {
    if (error instanceof ApiError && error.kind !== 'unreachable') this.answered();
  }

  /** The try was answered: the same content again is another one. */
  answered(): void {
    this.content = null;
  }
}
