/** Access, problems and a member's own address, in German. */
import type { Dictionary } from '../en';

export const nav: Dictionary['nav'] = {
  label: 'Seiten', community: 'Gemeinschaft', market: 'Markt', devices: 'Geräte', check: 'Belege',
  member: 'Seiten dieses Mitglieds',
  parts: { overview: 'Übersicht', autopilot: 'Autopilot', market: 'Markt', devices: 'Geräte', account: 'Konto' },
};

export const access: Dictionary['access'] = {
  title: 'Zugang',
  label: 'Ihr Zugangsschlüssel',
  hint: 'Sie erhalten ihn von dem, der die Plattform betreibt. Er bleibt in diesem Tab und geht nur an diesen Server.',
  needed: 'Um etwas zu ändern, braucht diese Seite Ihren Zugangsschlüssel.',
  wrong: 'Ein Schlüssel ist eine Zeile aus Buchstaben und Ziffern, ohne Leerzeichen.',
  use: 'Diesen Schlüssel verwenden',
  there: 'Dieser Tab hat einen Zugangsschlüssel.',
  forget: 'Vergessen',
};

export const problem: Dictionary['problem'] = {
  'invalid-request': 'Der Server versteht diese Eingabe nicht.',
  'invalid-limit': 'Die Grenze liegt außerhalb der Tarife.',
  'invalid-slot': 'Das ist nicht der Beginn eines Zeitfensters.',
  'invalid-link': 'Die Signatur wurde nicht angenommen.',
  unauthorized: 'Der Zugangsschlüssel fehlt oder ist nicht der richtige.',
  forbidden: 'Dieser Schlüssel darf das nicht: Es braucht den des Mitglieds selbst.',
  'unknown-member': 'Dieses Mitglied gibt es nicht.',
  'unknown-site': 'Diesen Standort gibt es nicht.',
  'unknown-order': 'Diesen Auftrag gibt es nicht.',
  'unknown-slot': 'Dieses Zeitfenster hat der Markt nicht.',
  'version-changed': 'Inzwischen hat jemand anders die Einstellungen geändert. Sie sind neu geladen; ändern Sie noch einmal.',
  'client-id-reused': 'Das wurde schon mit anderem Inhalt gesendet. Versuchen Sie es erneut.',
  'attributes-not-traded': 'Vorlieben gehören zum Dauerauftrag, nicht zu einem einzelnen.',
  'address-in-use': 'Diese Adresse gehört schon zu einem anderen Konto.',
  'withdrawal-open': 'An dieser Adresse ist eine Auszahlung beantragt. Nehmen Sie sie erst zurück, oder verbinden Sie eine andere.',
  'link-pending': 'Gerade wird eine andere Adresse verbunden. Warten Sie, bis das erledigt ist.',
  'no-contract': 'Die Gemeinschaft rechnet noch nicht auf einer Chain ab.',
  'idempotency-key-reused': 'Das wurde schon mit anderem Inhalt gesendet. Versuchen Sie es erneut.',
  'too-large': 'Das ist zu lang zum Senden.',
  'unknown-receipt': 'Für dieses Zeitfenster gibt es noch keinen Beleg.',
  unavailable: 'Die Datenbank der Plattform antwortet gerade nicht.',
  timeout: 'Das dauerte zu lange und wurde aufgegeben.',
  internal: 'Der Server machte einen Fehler. Er hat ihn vermerkt.',
  'too-many-requests': 'Das war zu oft. Warten Sie einen Augenblick.',
  busy: 'Der Markt ist beschäftigt. Versuchen Sie es gleich noch einmal.',
};

export const failure: Dictionary['failure'] = {
  unreachable: 'Der Server antwortet nicht. Soweit diese Seite weiß, hat sich nichts geändert; ein neuer Versuch schadet nicht.',
  other: 'Das hat nicht geklappt.',
  again: (seconds) => `Versuchen Sie es in ${seconds} s erneut.`,
  serverSays: 'Der Server sagt',
};

export const payout: Dictionary['payout'] = {
  title: 'Wohin Sie bezahlt werden',
  intro: 'Ihr Guthaben liegt an einer Adresse auf der Chain. Anfangs verwahrt sie die Plattform für Sie. Sie können eine eigene verbinden: Ab dem nächsten Zeitfenster werden Sie dorthin bezahlt.',
  address: 'Adresse jetzt',
  kind: { custodial: 'von der Plattform für Sie verwahrt', linked: 'Ihre eigene' },
  linkedAt: (when) => `verbunden am ${when}`,
  former: 'Frühere Adressen', formerHint: 'Sie bleiben bekannt, damit alte Belege prüfbar sind.',
  pending: (address) => `${address} wird verbunden. Ihr Guthaben zieht mit der nächsten Abrechnung um; das dauert höchstens einige Zeitfenster.`,
  status: { requested: 'wartet auf die nächste Abrechnung', signed: 'wird auf der Chain bewegt' },
  link: 'Eine eigene Adresse verbinden',
  caution: 'Zur Adresse der Plattform führt kein Weg zurück, nur zu einer anderen eigenen. Wer den Schlüssel der Adresse hat, hat das Guthaben.',
  wallet: 'Mit der Wallet in diesem Browser verbinden', walletHint: 'Die Wallet zeigt eine Nachricht; sie zu signieren kostet nichts und bewegt nichts.',
  noWallet: 'Dieser Browser hat keine Wallet. Geben Sie die Adresse ein, signieren Sie die Nachricht mit Ihrem Werkzeug und fügen Sie die Signatur ein.',
  byHand: 'Anderswo signieren',
  field: 'Ihre Adresse', fieldHint: '0x und 40 Hexziffern.', fieldWrong: 'Eine Adresse ist 0x und 40 Hexziffern.',
  ask: 'Nachricht zum Signieren zeigen',
  message: 'Genau diese Nachricht signieren', messageHint: 'Etwa mit „cast wallet sign“ oder „Nachricht signieren“ Ihrer Wallet.',
  expires: (time) => `Noch ${time} gültig.`, expired: 'Die Nachricht ist abgelaufen. Fordern Sie eine neue an.',
  signature: 'Signatur', signatureHint: '0x und 130 Hexziffern.', signatureWrong: 'Eine Signatur ist 0x und 130 Hexziffern.',
  send: 'Diese Adresse verbinden', busy: 'Läuft …', done: 'Die Adresse ist verbunden.', started: 'Die Signatur stimmt. Der Wechsel läuft.',
  walletRefused: 'Die Wallet hat nicht signiert.', walletChain: 'Die Wallet nannte keine Adresse.',
  needsToken: 'Das können nur Sie selbst: Geben Sie oben den Zugangsschlüssel des Mitglieds ein.',
};
