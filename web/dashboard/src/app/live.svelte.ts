/** Keeps the page current: the server's events, and asking again where they are missing. */
import { serverClockOffsetMs } from '../api/http';

/** Never ask more often than this, however many events come. */
const LEAST_GAP_MS = 2_000;
/** Without a stream, ask this often. */
const POLL_MS = 5_000;
/** With a stream, ask at least this often: an event may be lost. */
const SAFETY_POLL_MS = 20_000;
const RECONNECT_FIRST_MS = 1_000;
const RECONNECT_LAST_MS = 30_000;
const EVENTS = ['slot', 'order', 'trade', 'depth', 'forecast', 'reading', 'batch', 'settings', 'resync'];

export type Connection = 'connecting' | 'live' | 'polling' | 'offline';

class Live {
  /** Counts up whenever views should load again. */
  tick = $state(0);
  /** The time, second by second, by the server's clock. */
  now = $state(Date.now());
  /** When the server last answered, by the browser's clock; null before the first answer. */
  answeredAt = $state<number | null>(null);
  private streaming = $state(false);
  private failing = $state(false);

  private source: EventSource | null = null;
  private url: string | null = null;
  private askedAt = 0;
  private dirty = false;
  private reconnectAt = 0;
  private reconnectMs = RECONNECT_FIRST_MS;

  get connection(): Connection {
    if (this.failing) return 'offline';
    if (this.answeredAt === null) return 'connecting';
    return this.streaming ? 'live' : 'polling';
  }

  /** Starts the page's one timer. */
  start(): void {
    setInterval(() => this.second(), 1000);
    document.addEventListener('visibilitychange', () => this.visibility());
  }

  /** Follows the stream at `url` from now on. */
  follow(url: string): void {
    this.url = url;
    this.reconnectMs = RECONNECT_FIRST_MS;
    this.connect();
  }

  /** The server answered a request. */
  answered(): void {
    this.failing = false;
    this.answeredAt = Date.now();
  }

  /** The server did not answer a request. */
  unanswered(): void {
    this.failing = true;
  }

  /** Asks all views to load again, now. */
  refresh(): void {
    this.dirty = false;
    this.askedAt = Date.now();
    this.tick += 1;
  }

  private second(): void {
    const local = Date.now();
    this.now = local + serverClockOffsetMs;
    if (document.hidden) return;
    if (this.source === null && this.url !== null && local >= this.reconnectAt) this.connect();
    const gap = local - this.askedAt;
    const idle = this.streaming && !this.failing ? SAFETY_POLL_MS : POLL_MS;
    if ((this.dirty && gap >= LEAST_GAP_MS) || gap >= idle) this.refresh();
  }

  private visibility(): void {
    // A hidden page holds no connection: browsers allow six a server, over all tabs.
    if (document.hidden) {
      this.disconnect();
    } else if (this.url !== null) {
      this.connect();
      this.refresh();
    }
  }

  private connect(): void {
    this.disconnect();
    if (this.url === null || document.hidden) return;
    const source = new EventSource(this.url);
    this.source = source;
    source.onopen = () => {
      this.streaming = true;
      // What happened between two streams was not told.
      this.dirty = true;
      this.reconnectMs = RECONNECT_FIRST_MS;
    };
    source.onerror = () => {
      // The browser's own retry gives up on an error status, and never slows down: do it here.
      this.disconnect();
      this.reconnectAt = Date.now() + this.reconnectMs;
      this.reconnectMs = Math.min(this.reconnectMs * 2, RECONNECT_LAST_MS);
    };
    for (const kind of EVENTS) {
      source.addEventListener(kind, () => {
        this.dirty = true;
      });
    }
  }

  private disconnect(): void {
    this.source?.close();
    this.source = null;
    this.streaming = false;
  }
}

export const live = new Live();
