/** The number of edits between two words: a letter added, removed or replaced, or two neighbours swapped. */
function edits(a: string, b: string): number {
  let last: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let least = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, last[j - 2]! + 1)
      next.push(least)
    }
    last = row
    row = next
  }
  return row[b.length]!
}

/** The known word that is most similar, if at most a third of it differs; else null. */
export function nearest(word: string, known: readonly string[]): string | null {
  const lower = word.toLowerCase()
  const by = known
    .map(k => ({ k, distance: edits(lower, k.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0]
  return by && by.distance <= Math.max(1, Math.floor(by.k.length / 3)) ? by.k : null
}
