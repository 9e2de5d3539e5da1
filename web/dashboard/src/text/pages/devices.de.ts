/** Devices and their events, in German. */
import type { Dictionary } from '../en';

const s = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;

export const devices: Dictionary['devices'] = {
  title: 'Geräte',
  empty: 'Noch keine Geräte', emptyHint: 'Ein Zähler oder Wechselrichter erscheint, sobald er angemeldet ist.',
  summary: (ok, all) => `${ok} von ${s(all, 'Gerät ist', 'Geräten sind')} in Ordnung.`,
  state: { ok: 'in Ordnung', failing: 'nicht erreicht', doubted: 'zurückgehalten', asleep: 'schläft', silent: 'stumm', unknown: 'nie gehört' },
  stateHint: {
    ok: 'Es antwortet, und seine Messwerte kommen an.',
    failing: 'Der letzte Messwert ließ sich nicht lesen.',
    doubted: 'Sein Zählwerk tat etwas Seltsames; seine Messwerte sind zurückgehalten, bis das geklärt ist.',
    asleep: 'Ein Wechselrichter bei Nacht: kein Alarm.',
    silent: 'Seit drei Zeitfenstern weder Messwert noch Lebenszeichen.',
    unknown: 'Von ihm war noch nie etwas zu hören.',
  },
  more: (n) => `Mehr zeigen (noch ${n})`,
  since: (when) => `seit ${when}`,
  lastReading: 'Letzter Messwert', lastAnswer: 'Letzte Antwort', certificate: 'Zertifikat', clock: 'Uhr', errors: 'Fehler seit Start', agent: 'Agent',
  records: (n) => s(n, 'Datensatz', 'Datensätze'), backlog: (agent, records, when) => `${agent}: ${records} noch nicht gesendet, der älteste ${when}.`,
  days: (n) => `noch ${s(n, 'Tag', 'Tage')} gültig`, expired: 'abgelaufen', noCertificate: 'keines',
  clocks: { synchronised: 'synchron', informative: 'nur zur Information', unsynchronised: 'nicht synchron', unknown: 'nicht bekannt' },
  times: (n) => `${n} ×`,
  completeness: 'Messwerte je Tag',
  completenessHint: 'Gespeichert von allen fälligen. Was fehlt, ist schraffiert und nicht null.',
  completenessAlt: (list) => `Gespeicherte von fälligen Messwerten: ${list}.`,
  ofDue: (stored, due) => `${stored} von ${due}`,
  dayCount: (day, stored, due) => `${day}: ${stored} von ${due}`,
  noDays: 'Noch war kein Messwert fällig.',
  events: 'Was geschah', eventsEmpty: 'Noch ist nichts geschehen', eventsHint: 'Störungen, Erholungen und Warnungen der Geräte und ihrer Agenten stehen hier, die neuesten zuerst.',
  older: 'Ältere Ereignisse zeigen', when: 'Wann', device: 'Gerät', event: 'Ereignis', words: 'Einzelheiten', itself: 'der Agent selbst',
  severity: { alarm: 'Alarm', warning: 'Warnung', info: 'Hinweis' },
  kind: {
    device_unreachable: 'Gerät nicht erreicht', device_faulty: 'Gerät gestört', device_back: 'Gerät ist wieder da',
    register_fell: 'Zählwerk lief rückwärts', register_jumped: 'Zählwerk sprang', register_stuck: 'Zählwerk steht', meter_exchanged: 'Zähler getauscht',
    new_epoch_after_reset: 'Neu gezählt nach Rücksetzen', new_epoch_after_jump: 'Neu gezählt nach Sprung', new_epoch_meter_exchanged: 'Neu gezählt mit anderem Zähler',
    register_rolled_over: 'Zählwerk lief über', phase_sum_differs: 'Phasen gehen nicht auf',
    outbox_damaged: 'Speicher beschädigt', outbox_failed: 'Speicher nicht beschreibbar', outbox_back: 'Speicher arbeitet wieder',
    certificate_expires: 'Zertifikat läuft bald ab', certificate_expired: 'Zertifikat abgelaufen', certificate_renewed: 'Zertifikat erneuert',
    clock_unsynchronised: 'Uhr nicht synchron', clock_synchronised: 'Uhr synchron', curtailment_failed: 'Begrenzen der Leistung gescheitert', curtailment_restored: 'Leistung wieder begrenzt',
  },
};
