/** The first of a list, and how many more there are: `acme, bolt, corp and 40 more`. */
export const shortList = (list: string[], most: number): string =>
  list.length <= most ? list.join(', ') : `${list.slice(0, most).join(', ')} and ${list.length - most} more`

/** The same of names in a sentence: up to four, or three and how many more. */
export const fewNames = (names: string[]): string => shortList(names, names.length > 4 ? 3 : 4)

/** Names of databases, or `all 5 databases` if these are all of them. `of` is the number of databases. */
export const databaseNames = (names: string[], of: number): string =>
  names.length === of && of > 1 ? `all ${of} databases` : fewNames(names)
