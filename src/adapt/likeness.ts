/** Scores of a name: equal to the track's own, equal to a usual one, or with the same ending. */
const exact = 3
const usualName = 2
const usualEnding = 1

/** The words of a name in the singular: `orgMessages` is `org_message`. */
const wordsOf = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter(Boolean)
    .map(word => (word.length > 3 && !word.endsWith('ss') ? word.replace(/s$/, '') : word))
    .join('_')

/** The score of a name by its similarity to the track's own name and to usual ones. */
export function likeness(name: string, own: string, usual: readonly string[]): number {
  const words = wordsOf(name)
  if (words === wordsOf(own)) return exact
  const known = usual.map(wordsOf)
  if (known.includes(words)) return usualName
  // names that run their words together: `userid`, `createdat`
  if ([wordsOf(own), ...known].some(k => k.includes('_') && k.replaceAll('_', '') === words)) return usualName
  return [wordsOf(own), ...known].some(k => words.endsWith(`_${k}`)) ? usualEnding : 0
}

/** True for a column that is named after a table: `org_id` and `organization` of `organizations`. */
export function namedAfter(column: string, table: string): boolean {
  const words = wordsOf(column).replace(/_id$/, '')
  const last = wordsOf(table)
  return words === last || last.endsWith(`_${words}`) || words === `${last}id`
}

/**
 * Finds the tables that a column has the name of: `account_id` that of `accounts`, `from_end_user_id` that of
 * `end_users`, and not that of `users`.
 */
export function namesakesAmong(
  tables: readonly { table: string; name: string }[],
): (column: string) => string[] {
  const known = new Map<string, string[]>()
  for (const { table, name } of tables) known.set(wordsOf(name), [...(known.get(wordsOf(name)) ?? []), table])
  return column => {
    const words = wordsOf(column).replace(/_id$/, '').split('_')
    // the longest name first
    for (let from = 0; from < words.length; from++) {
      const found = known.get(words.slice(from).join('_'))
      if (found) return found
    }
    return []
  }
}
