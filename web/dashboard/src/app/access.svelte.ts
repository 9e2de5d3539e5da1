/** The token that lets this page change something. Kept for as long as the tab lives, and nowhere else. */

const KEY = 'busbar.token';

/** Storage may be denied: then the token lasts as long as the page. */
function recalled(): string | null {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

class Access {
  token = $state<string | null>(recalled());

  /** Takes a token as it was pasted; an empty one is none. */
  use(pasted: string): void {
    const token = pasted.trim();
    this.token = token === '' ? null : token;
    try {
      if (this.token === null) sessionStorage.removeItem(KEY);
      else sessionStorage.setItem(KEY, this.token);
    } catch {
      // See recalled.
    }
  }
}

export const access = new Access();

/** Whether a pasted token can stand in a header: printable ASCII. */
export const isToken = (text: string): boolean => /^[\x21-\x7e]{1,4096}$/.test(text.trim());
