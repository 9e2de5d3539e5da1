/** Why the autopilot placed an order, in German. */
import type { Dictionary } from '../en';

export const reason: Dictionary['reason'] = {
  offer: {
    forecast: (likely, low, high) => `Prognose: ${likely} übrig (in acht von zehn Fällen ${low} bis ${high})`,
    trades: {
      greenest: (e) => `„am grünsten“ bietet ${e} an`,
      'hands-off': (e, share) => `„von selbst“ bietet ${share} davon an, ${e}`,
      cheapest: (e) => `„am günstigsten“ bietet die fast sicheren ${e} an`,
    },
    limit: (p) => `ab ${p}`,
    moved: (e, from, to) => `Der Handelsschluss rückt näher, und zu ${from} hat niemand Ihre ganzen ${e} genommen; jetzt ab ${to}.`,
  },
  bid: {
    forecast: (likely, low, high) => `Prognose: ${likely} fehlen (in acht von zehn Fällen ${low} bis ${high})`,
    trades: {
      greenest: (e) => `„am grünsten“ will ${e} kaufen`,
      'hands-off': (e, share) => `„von selbst“ will ${share} davon kaufen, ${e}`,
      cheapest: (e) => `„am günstigsten“ will die fast sicheren ${e} kaufen`,
    },
    limit: (p) => `zu höchstens ${p}`,
    moved: (e, from, to) => `Der Handelsschluss rückt näher, und zu ${from} hat Ihnen niemand die ganzen ${e} verkauft; jetzt zu höchstens ${to}.`,
  },
  fromBattery: (e) => `, mit ${e} aus der Batterie`,
  intoBattery: (e) => `, mit ${e} in die Batterie`,
  none: { paused: 'Der Autopilot pausiert.', noForecast: 'Es gibt noch keine Prognose: Sie entsteht, sobald der Zähler des Standorts über ein Zeitfenster abgelesen wurde.', nothing: 'In keinem Zeitfenster ist etwas zu handeln zu erwarten.' },
};
