/** Access, problems and a member's own address, in English. */
export const nav = {
  label: 'Pages', community: 'Community', market: 'Market', devices: 'Devices', check: 'Receipts',
  member: 'Pages of this member',
  parts: { overview: 'Overview', autopilot: 'Autopilot', market: 'Market', devices: 'Devices', account: 'Account' },
};

export const access = {
  title: 'Access',
  label: 'Your access token',
  hint: 'Whoever runs the platform gives it to you. It stays in this tab and is sent to this server alone.',
  needed: 'To change something, this page needs your access token.',
  wrong: 'A token is one line of letters and digits, without spaces.',
  use: 'Use this token',
  there: 'This tab has an access token.',
  forget: 'Forget it',
};

/** The server's problems in plain words, by their names in its catalogue. */
export const problem: Record<string, string> = {
  'invalid-request': 'The server does not understand this entry.',
  'invalid-limit': 'The limit lies outside the tariffs.',
  'invalid-slot': 'This is not the start of a slot.',
  'invalid-link': 'The signature was not accepted.',
  unauthorized: 'The access token is missing or not the right one.',
  forbidden: 'This token may not do that: it takes the member’s own.',
  'unknown-member': 'There is no such member.',
  'unknown-site': 'There is no such site.',
  'unknown-order': 'There is no such order.',
  'unknown-slot': 'The market has no such slot.',
  'version-changed': 'Somebody else has changed the settings meanwhile. They are loaded again; make your change once more.',
  'client-id-reused': 'This was sent before with other content. Try again.',
  'attributes-not-traded': 'Preferences belong to the standing order, not to a single one.',
  'address-in-use': 'This address belongs to another account already.',
  'withdrawal-open': 'A withdrawal is requested at this address. Cancel it first, or link another address.',
  'link-pending': 'Another address is just being linked. Wait until that is done.',
  'no-contract': 'The community does not settle on a chain yet.',
  'idempotency-key-reused': 'This was sent before with other content. Try again.',
  'too-large': 'That is too long to be sent.',
  'unknown-receipt': 'There is no receipt of this slot yet.',
  unavailable: 'The platform’s database does not answer just now.',
  timeout: 'That took too long and was given up.',
  internal: 'The server made a mistake. It has noted it.',
  'too-many-requests': 'That was too often. Wait a moment.',
  busy: 'The market is busy. Try again in a moment.',
};

export const failure = {
  unreachable: 'The server does not answer. Nothing was changed, as far as this page knows; trying again is harmless.',
  other: 'That did not work.',
  again: (seconds: number) => `Try again in ${seconds} s.`,
  serverSays: 'The server says',
};

export const payout = {
  title: 'Where you are paid',
  intro: 'Your credits live at an address on the chain. At first the platform keeps it for you. You may link an address of your own: from the next slot on you are paid there.',
  address: 'Address now',
  kind: { custodial: 'kept by the platform for you', linked: 'your own' } as Record<string, string>,
  linkedAt: (when: string) => `linked on ${when}`,
  former: 'Earlier addresses', formerHint: 'They stay known, so that old receipts can be checked.',
  pending: (address: string) => `${address} is being linked. Your credits move there with the next settlement; this takes a few slots at most.`,
  status: { requested: 'waiting for the next settlement', signed: 'being moved on the chain' } as Record<string, string>,
  link: 'Link an address of your own',
  caution: 'There is no way back to the platform’s address, only to another one of yours. Whoever has its key has the credits.',
  wallet: 'Link with the wallet in this browser', walletHint: 'The wallet shows a message; signing it costs nothing and moves nothing.',
  noWallet: 'This browser has no wallet. Enter the address, sign the message with your own tool and paste the signature.',
  byHand: 'Sign elsewhere',
  field: 'Your address', fieldHint: '0x and 40 hex digits.', fieldWrong: 'An address is 0x and 40 hex digits.',
  ask: 'Show the message to sign',
  message: 'Sign exactly this message', messageHint: 'For instance with “cast wallet sign” or your wallet’s “sign message”.',
  expires: (time: string) => `Valid for ${time}.`, expired: 'The message has expired. Ask for a new one.',
  signature: 'Signature', signatureHint: '0x and 130 hex digits.', signatureWrong: 'A signature is 0x and 130 hex digits.',
  send: 'Link this address', busy: 'Working …', done: 'The address is linked.', started: 'The signature is right. The change is under way.',
  walletRefused: 'The wallet did not sign.', walletChain: 'The wallet gave no address.',
  needsToken: 'Only you can do this: enter the member’s own access token above.',
};
