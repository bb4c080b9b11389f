/** The first names and the number of the others: `acme, bolt, corp and 40 more`. */
export function fewNames(names: string[]): string {
  const few = names.length > 4 ? names.slice(0, 3) : names
  const more = names.length - few.length
  return `${few.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** Names of databases, or `all 5 databases` if these are all of them. `of` is the number of databases. */
export const databaseNames = (names: string[], of: number): string =>
  names.length === of && of > 1 ? `all ${of} databases` : fewNames(names)
