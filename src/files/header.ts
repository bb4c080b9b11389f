import { type Finding, finding } from '../model/report.js'

/** The keys that each kind of file may carry. */
const headerKeys = {
  migration: [
    'title',
    'phase',
    'transaction',
    'irreversible',
    'requires',
    'table',
    'pending',
    'reason',
    'unit',
    'key',
    'until',
    'ends-old-app',
    'hazard',
    'undone-by',
  ],
  rollback: ['title', 'transaction', 'ours', 'mirrored', 'alike', 'superseded', 'catch-up'],
  check: [
    'title',
    'level',
    'after',
    'until',
    'gate',
    'kind',
    'as',
    'deep',
    'mutant',
    'expects',
    'hazard',
    'at',
    'unless-set',
  ],
} as const

/** Which kind of file a header stands in. */
export type HeaderKind = keyof typeof headerKeys

/** A parsed header: the values by key, each with its line (counted from 1). */
export interface Header {
  values: Map<string, { value: string; line: number }>
  faults: Finding[]
}

/**
 * Reads the strict `--! key: value` lines at the top of a file. A line `--! more` without a key goes
 * on with the value before it. An unknown or repeated key, or one below the first statement, is a
 * fault with file and line.
 */
export function readHeader(text: string, path: string, kind: HeaderKind): Header {
  const values: Header['values'] = new Map()
  const faults: Finding[] = []
  const known: readonly string[] = headerKeys[kind]
  let open = true
  let last: { value: string; line: number } | null = null
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .entries()) {
    const line = index + 1
    const fault = (reason: string) => faults.push(finding('BAD_HEADER', `${path}:${line}`, { reason }))
    if (!raw.startsWith('--!')) {
      if (raw.trim() !== '' && !raw.startsWith('--')) open = false
      continue
    }
    if (!open) {
      fault('a header line must stand above the first statement')
      continue
    }
    const pair = /^--! ([a-z][a-z-]*): *(.*)$/.exec(raw.trimEnd())
    if (!pair) {
      const more = /^--! {3,}(\S.*)$/.exec(raw.trimEnd())
      if (more && last) last.value = `${last.value} ${more[1]}`
      else fault('expected `--! key: value`')
      continue
    }
    const [, key, value] = pair as unknown as [string, string, string]
    if (!known.includes(key)) fault(`unknown key \`${key}\` (known: ${known.join(', ')})`)
    else if (values.has(key)) fault(`key \`${key}\` is repeated (first on line ${values.get(key)!.line})`)
    else if (value === '') fault(`key \`${key}\` has no value`)
    else {
      last = { value, line }
      values.set(key, last)
    }
  }
  return { values, faults }
}
