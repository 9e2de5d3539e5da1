/** The standing order of the closing auction, in English. */
export const standing = {
  title: 'In the closing auction',
  intro: 'What is not traded before is shared out among neighbours at one fair price once the meters have spoken. Here you say at which limits, and from whom you would rather buy.',
  prefers: 'I would rather buy',
  wish: { any: 'from anybody', local: 'from my own zone', green: 'solar energy', partners: 'from neighbours that I name' } as Record<string, string>,
  premium: (unit: string) => `The most on top of the price for that, in ${unit}`,
  premiumHint: (most: string) => `From nothing to ${most}. It goes to the neighbour whose energy it is; you never pay more than the grid would ask.`,
  premiumWrong: (most: string) => `Enter a price from 0 to ${most}.`,
  partners: 'Neighbours, the first of them first', add: 'Add a neighbour', choose: 'Choose …', remove: (name: string) => `Remove ${name}`, noPartners: 'Name at least one neighbour.', most: (n: number) => `At most ${n}.`,
  save: 'Save for the closing auction', saved: 'Saved. It holds for every slot that begins from now on.', zone: (name: string) => `Zone: ${name}`,
  holds: (when: string) => `Holds for slots from ${when} on.`, never: 'Never set: the tariffs are the limits, and nobody is preferred.',
};
