/** The page's words in English. The shape of this object is the dictionary that every language fills. */
import { access, failure, nav, payout, problem } from './pages/account.en';
import { autopilot } from './pages/autopilot.en';
import { devices } from './pages/devices.en';
import { market } from './pages/market.en';
import { reason } from './pages/reason.en';
import { receipt } from './pages/receipt.en';
import { standing } from './pages/standing.en';

const s = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;

export const en = {
  nav, access, problem, failure, receipt, market, autopilot, devices, payout, standing, reason,
  name: 'English',
  skip: 'Skip to the content',
  close: 'Close',
  app: {
    home: 'Busbar: community view',
    chooseCommunity: 'Community',
    theme: { auto: 'Colours: as the device', light: 'Colours: light', dark: 'Colours: dark' },
    otherLanguage: 'Deutsch',
    otherLanguageHint: 'Seite auf Deutsch anzeigen',
    apiDocs: 'API documentation',
    openapi: 'OpenAPI document',
    demonstration: 'Demonstration',
    demoNote: (slot: string, carried: string) => `Time runs faster here: a slot of ${slot} carries the energy of ${carried}.`,
    stackNotes: 'Notes on this installation',
    running: (since: string) => `Running since ${since}.`,
    timesAreLocal: 'Times are in your time zone. Energy is metered in Wh; money is exact to a billionth.',
  },
  live: {
    now: 'Live',
    polling: 'Asking every few seconds',
    offline: 'No connection',
    updated: (age: string) => `updated ${age}`,
    never: 'connecting',
    gone: (time: string) => `The server does not answer. What you see is from ${time}. Trying again.`,
    goneFirst: 'The server does not answer. Trying again.',
  },
  age: {
    now: 'just now',
    seconds: (n: number) => `${n} s ago`,
    minutes: (n: number) => `${n} min ago`,
    hours: (n: number) => `${n} h ago`,
    days: (n: number) => `${s(n, 'day', 'days')} ago`,
  },
  span: {
    quarter: 'a quarter-hour',
    half: 'half an hour',
    hour: 'an hour',
    minutes: (n: number) => s(n, 'minute', 'minutes'),
    seconds: (n: number) => `${n} s`,
  },
  state: {
    loading: 'Loading',
    retry: 'Try again',
    failed: 'This could not be loaded',
    missing: 'This does not exist',
    unreachable: 'The server does not answer',
    notKnown: 'not known yet',
    noCommunity: 'No community yet',
    noCommunityHint: 'As soon as a community is set up on this server, it appears here.',
    notFound: 'There is no such page',
    back: 'Back to the community',
  },
  copy: { copy: (what: string) => `Copy ${what}`, done: 'Copied' },
  period: {
    quarter: 'last settled quarter-hour',
    slot: (length: string) => `last settled slot of ${length}`,
  },
  sentence: {
    inThe: (period: string) => `In the ${period}`,
    neighboursTraded: (e: string, p: string | null) => `neighbours traded **${e}**${p ? ` at **${p}**` : ''}`,
    closingToo: (e: string, p: string | null) => `and the closing auction shared out **${e}** more${p ? ` at **${p}**` : ''}`,
    closingOnly: (e: string, p: string | null) => `neighbours shared **${e}** in the closing auction${p ? ` at **${p}**` : ''}`,
    noLocal: 'no energy changed hands between neighbours',
    gridBoth: (i: string, e: string) => `**${i}** came from the grid and **${e}** went to it.`,
    gridIn: (i: string) => `**${i}** came from the grid.`,
    gridOut: (e: string) => `**${e}** went to the grid.`,
    gridNone: 'Nothing came from the grid and nothing went to it.',
    nothingYet: (start: string) => `No slot is settled yet. The market opened at **${start}**; the first result follows shortly after the first slot has been metered.`,
    notOpenYet: (start: string) => `The market opens at **${start}**.`,
    memberBought: (e: string, p: string | null) => `bought **${e}** from neighbours${p ? ` at **${p}**` : ''}`,
    memberSold: (e: string, p: string | null) => `sold **${e}** to neighbours${p ? ` at **${p}**` : ''}`,
    memberNone: 'traded nothing with neighbours',
    and: 'and',
    better: (m: string) => `That is **${m}** better than at the tariffs alone.`,
    worse: (m: string) => `That is **${m}** worse than at the tariffs alone.`,
    same: 'That costs the same as at the tariffs alone.',
    memberNothing: (name: string) => `**${name}** has no settled slot yet.`,
  },
  status: {
    scheduled: 'scheduled', open: 'open', closed: 'closed', metered: 'metered', priced: 'priced', settled: 'settled', corrected: 'corrected',
    filled: 'filled', cancelled: 'cancelled', expired: 'expired',
    prepared: 'prepared', signed: 'signed', broadcast: 'sent', final: 'final', void: 'nothing to move', reverted: 'reverted', replaced: 'replaced',
  } as Record<string, string>,
  stateHint: {
    scheduled: 'not open for orders yet', open: 'neighbours trade', closed: 'energy flows, no more orders', metered: 'all meters have reported',
    priced: 'every account has its statement', settled: 'paid on the chain', corrected: 'paid again, by the difference',
  } as Record<string, string>,
  preset: { greenest: 'greenest', cheapest: 'cheapest', 'hands-off': 'hands-off', paused: 'paused' } as Record<string, string>,
  side: { bid: 'buy', offer: 'sell' } as Record<string, string>,
  account: { grid: 'Grid', network: 'Network operator', platform: 'Platform', reserve: 'Reserve' } as Record<string, string>,
  flow: {
    title: 'Where the energy went',
    production: 'Production', grid: 'Grid', homes: 'Homes', neighbours: 'Neighbours',
    own: 'used where it was produced', local: 'between neighbours', fromGrid: 'from the grid', toGrid: 'to the grid',
    table: 'The same as a table', from: 'From', to: 'To', amount: 'Energy',
    ownName: 'Homes, own use', summary: (list: string) => `Energy flow: ${list}.`,
    gap: 'Production is not known for every site, so own use is left out.',
    none: 'No energy was metered in this slot.',
  },
  kpi: {
    title: 'Since the market opened',
    sufficiency: 'Self-sufficiency', sufficiencyDef: 'Share of the consumption covered by own or neighbours’ production.',
    consumption: 'Self-consumption', consumptionDef: 'Share of the production used within the community.',
    local: 'Local share', localDef: 'Share of the energy taken from the wires that came from neighbours.',
    savings: 'Savings', savingsDef: 'What the same readings would have cost at the tariffs alone, less what they did cost.',
  },
  now: {
    title: 'Now', gate: 'Trading for the next slot closes in', end: 'This slot ends in', next: 'Next slot', current: 'Running slot',
    bids: 'Open bids', offers: 'Open offers', traded: 'Traded so far', none: 'No slot is running.',
    tariffs: 'Tariffs', retail: 'From the grid', feedIn: 'To the grid', band: 'Neighbours trade in between', fees: 'Network and platform fee',
    bandAlt: (low: string, high: string, at: string | null) => `Neighbours trade between ${low} and ${high}${at ? `; last at ${at}` : ''}.`,
  },
  slots: {
    title: 'Latest slots', slot: 'Slot', status: 'Status', local: 'Between neighbours', price: 'Mean price', fromGrid: 'From grid', toGrid: 'To grid',
    chain: 'On the chain', empty: 'No slots yet', emptyHint: 'Slots appear here as soon as the market opens.', older: 'Show older slots',
    block: (n: string) => `block ${n}`, shares: (local: string, grid: string) => `${local} from neighbours, ${grid} from the grid`, mix: 'Neighbours : grid',
    slotLink: (when: string) => `Slot ${when}`,
  },
  members: {
    title: 'Members', member: 'Member', pv: 'Solar', preset: 'Autopilot', balance: 'Credits', savings: 'Savings', sites: 'Sites',
    empty: 'No members yet', emptyHint: 'Members appear here when their sites are registered.', noPv: 'none',
    find: 'Find a member', noneFound: 'No member of this name.', all: (n: number) => `Show all ${n}`,
  },
  totals: {
    title: 'The market in figures', settled: 'slots settled', readings: 'signed readings', trades: 'trades', traded: 'traded', closing: 'in closing auctions',
    batches: 'batches final', members: 'members', sites: 'sites', meters: 'meters', contract: 'Credit contract', chainId: (n: number) => `chain ${n}`,
  },
  member: {
    pseudonym: (name: string) => `Neighbours see “${name}”`, balance: 'Credits on the chain', balanceDef: 'One credit stands for one unit of currency held by the contract.',
    receivable: (m: string) => `${m} still owed to the reserve`, payable: (m: string) => `The reserve still owes you ${m}`, savings: 'Saved so far', savingsDef: (base: string, net: string) => `At the tariffs alone ${base}, with neighbours ${net}.`,
    bought: 'Bought from neighbours', sold: 'Sold to neighbours', ofImport: (p: string) => `${p} of all energy taken in`, ofExport: (p: string) => `${p} of all energy given out`,
    nothingIn: 'No energy was taken in yet.', onlyBought: 'Bought ahead, while no energy was taken in yet.', onlySold: 'Sold ahead, while no energy was given out yet.', nothingOut: 'No energy was given out yet.', figures: 'Balance and energy', autopilot: 'Autopilot', address: 'Address on the chain',
    chart: 'Slot by slot', fromNeighbours: 'from neighbours', fromGrid: 'from the grid', toNeighbours: 'to neighbours', toGrid: 'to the grid', metered: 'metered', gap: 'no data',
    substituted: 'Substituted: no reading came in time; the traded energy stands in for it.', chartAlt: (n: number, gaps: number) => `Energy of ${s(n, 'slot', 'slots')}${gaps > 0 ? `, ${gaps} without data` : ''}. The figures are in the statements below.`,
    chartHint: 'Point at a column for its figures; a click opens the slot.',
    sites: 'Sites and meters', lastSeen: 'Last reading', noMeter: 'No meter is registered for this site.', noReading: 'no reading yet', powerIn: 'taking in', powerOut: 'giving out', counterIn: 'Counter in', counterOut: 'Counter out', battery: 'Battery', noSites: 'No sites yet',
    orders: 'Orders', ordersEmpty: 'No orders yet', ordersHint: 'The autopilot places them before each slot; energy that finds no partner goes through the closing auction.', order: 'Order', limit: 'Limit', reason: 'Why', filledOf: (done: string, all: string) => `${done} of ${all}`, byMember: 'placed by hand',
    neighbours: 'Neighbours', neighboursEmpty: 'No trades with neighbours yet', neighboursHint: 'Whom you buy from and sell to stands here, after the first trade or closing auction.', bag: (e: string) => `bought ${e}`, gave: (e: string) => `sold ${e}`, boughtFrom: 'bought', soldTo: 'sold',
  },
  statement: {
    title: 'Statement', slot: 'Slot', account: 'Account', metered: 'Metered in / out', bought: 'Bought locally', sold: 'Sold locally', grid: 'Grid', fees: 'Fees', net: 'Result', saved: 'Saved',
    sum: (n: number) => `Sum of ${s(n, 'slot', 'slots')} shown`, all: (n: number) => `Sum of ${s(n, 'account', 'accounts')}`, older: 'Show older slots', empty: 'No statements yet', emptyHint: 'The first statement comes when a slot has been priced.',
    signs: 'Positive: credited. Negative: charged. Every line is the sum of its parts, to the last digit.',
    curtailed: (e: string) => `${e} curtailed by the grid’s limit`, preferred: (e: string) => `${e} as preferred`,
    agrees: (m: string) => `All slots: ${m}, the same as the sum of the lines.`, more: 'Older slots are not loaded yet; the sum of all slots is', revision: (n: number) => `revision ${n}`,
  },
  slot: {
    heading: 'Slot', previous: 'Earlier slot', next: 'Later slot', life: 'Life of the slot', energy: 'Energy', between: 'Between neighbours', traded: 'traded', closing: 'in closing', mean: 'Mean price', closingPrice: 'Closing price', trades: 'Trades', closingTitle: 'Closing auction',
    tradesEmpty: 'No trades in this slot', tradesHint: 'What is left after trading goes through the closing auction.', closingEmpty: 'The closing auction moved no energy', closingHint: 'It runs when all meters of the slot have reported.',
    buyer: 'Buyer', seller: 'Seller', amount: 'Energy', price: 'Price', at: 'At', showAll: (n: number) => `Show all ${n}`,
    statements: 'Statements of every account', statementsEmpty: 'Not priced yet', statementsHint: 'Statements follow when the slot has been metered and priced.',
    balances: 'The books balance', balancesNot: 'The books do not balance', sumServer: 'The market’s sum', sumHere: 'Added up in your browser',
    batch: 'On the chain', batchEmpty: 'Nothing on the chain yet', batchHint: 'A priced slot goes to the chain as one batch of net positions.', batchVoid: 'No position had to move: the slot is settled without a transaction.',
    batchId: 'Batch', tx: 'Transaction', block: 'Block', gas: 'Gas', nonce: 'Nonce', status: 'Status', positions: 'Net positions', account: 'Account', address: 'Address', owed: 'Owed', settled: 'Moved', carried: (m: string) => `${m} carried forward`, pending: 'not signed yet',
    gridTitle: 'Grid limits', importLimit: 'Most that may come from the grid', exportLimit: 'Most that may go to the grid', unlimited: 'no limit', curtailed: 'Curtailed: given out beyond the limit, earns nothing', overLimit: 'Taken in beyond the limit, at the retail tariff',
    revision: (n: number) => `revision ${n}`, nextUpdate: 'This view follows the slot.',
  },
};

/** The words of a language. */
export type Dictionary = typeof en;
