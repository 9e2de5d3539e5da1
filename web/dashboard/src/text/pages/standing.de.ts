/** The standing order of the closing auction, in German. */
import type { Dictionary } from '../en';

export const standing: Dictionary['standing'] = {
  title: 'In der Schlussauktion',
  intro: 'Was vorher nicht gehandelt wird, verteilt sie zu einem fairen Preis unter Nachbarn, sobald die Zähler gesprochen haben. Hier sagen Sie, zu welchen Grenzen und von wem Sie am liebsten kaufen.',
  prefers: 'Am liebsten kaufe ich',
  wish: { any: 'von allen', local: 'aus meiner eigenen Zone', green: 'Solarstrom', partners: 'von Nachbarn, die ich nenne' },
  premium: (unit) => `Höchstens obendrauf dafür, in ${unit}`,
  premiumHint: (most) => `Von nichts bis ${most}. Es geht an den Nachbarn, dessen Energie es ist; mehr, als das Netz verlangt, zahlen Sie nie.`,
  premiumWrong: (most) => `Geben Sie einen Preis von 0 bis ${most} ein.`,
  partners: 'Nachbarn, der erste zuerst', add: 'Nachbarn hinzufügen', choose: 'Wählen …', remove: (name) => `${name} entfernen`, noPartners: 'Nennen Sie mindestens einen Nachbarn.', most: (n) => `Höchstens ${n}.`,
  save: 'Für die Schlussauktion speichern', saved: 'Gespeichert. Es gilt für jedes Zeitfenster, das ab jetzt beginnt.', zone: (name) => `Zone: ${name}`,
  holds: (when) => `Gilt für Zeitfenster ab ${when}.`, never: 'Nie gesetzt: Die Tarife sind die Grenzen, und niemand wird bevorzugt.',
};
