/** The columns that statements share, in the slot's view and in the member's. */
import type { StatementFigures } from '../api/slot';
import type { Dictionary } from '../text/en';
import type { Column } from '../ui/table';

export type MoneyKey = 'bought' | 'sold' | 'grid' | 'fees' | 'net' | 'saved';

/** The amount of a column, in nano-currency. `net` is the sum of the four before it. */
export function moneyOf(row: StatementFigures, key: MoneyKey): bigint {
  switch (key) {
    case 'bought':
      return row.traded_bought_nano + row.closing_bought_nano + row.preferred_bought_nano;
    case 'sold':
      return row.traded_sold_nano + row.closing_sold_nano + row.preferred_sold_nano;
    case 'grid':
      return row.residual_nano;
    case 'fees':
      return row.network_fee_nano + row.platform_fee_nano;
    case 'net':
      return row.net_nano;
    case 'saved':
      return row.net_nano - row.base_nano;
  }
}

/** The columns; `name` is the heading of the first, `sign` the currency's. */
export function statementColumns(
  words: Dictionary['statement'],
  name: string,
  sign: string,
  saved: boolean,
): Column[] {
  const money = (key: MoneyKey, label: string): Column => ({ key, label: `${label} (${sign})`, end: true });
  const columns = [
    { key: 'name', label: name },
    { key: 'metered', label: `${words.metered} (kWh)`, end: true },
    money('bought', words.bought),
    money('sold', words.sold),
    money('grid', words.grid),
    money('fees', words.fees),
    { ...money('net', words.net), beside: true },
  ];
  return saved ? [...columns, money('saved', words.saved)] : columns;
}
