/** What the reader chose: language and colours. Kept in the browser only. */
import { de } from '../text/de';
import { en, type Dictionary } from '../text/en';

export type Lang = 'en' | 'de';
export type Theme = 'auto' | 'light' | 'dark';

const DICTIONARIES: Record<Lang, Dictionary> = { en, de };
const THEMES: Theme[] = ['auto', 'light', 'dark'];

/** Storage may be denied (private windows, policies): then choices last as long as the page. */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`busbar.${key}`);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`busbar.${key}`, value);
  } catch {
    // Nothing to do: see recall.
  }
}

function firstLang(): Lang {
  const wanted = recall('lang') ?? navigator.language.slice(0, 2);
  return wanted === 'de' ? 'de' : 'en';
}

class Prefs {
  lang = $state<Lang>(firstLang());
  theme = $state<Theme>(THEMES.find((theme) => theme === recall('theme')) ?? 'auto');

  /** The words of the chosen language. */
  get words(): Dictionary {
    return DICTIONARIES[this.lang];
  }

  toggleLang(): void {
    this.lang = this.lang === 'en' ? 'de' : 'en';
    remember('lang', this.lang);
    this.apply();
  }

  nextTheme(): void {
    this.theme = THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length] ?? 'auto';
    remember('theme', this.theme);
    this.apply();
  }

  /** Puts the choices where style sheets and screen readers look for them. */
  apply(): void {
    document.documentElement.lang = this.lang;
    document.documentElement.dataset['theme'] = this.theme;
  }
}

export const prefs = new Prefs();
