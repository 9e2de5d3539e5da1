/** A column of a table. */
export interface Column {
  key: string;
  label: string;
  /** Figures stand at the end of their column. */
  end?: boolean;
  /** Takes a whole line of its card on a narrow screen. */
  full?: boolean;
  /** Stands beside the row's name at the top of its card, without its label. */
  beside?: boolean;
  /** Left out of the card. */
  spare?: boolean;
}
