import { type Finding, finding } from '../model/report.js'
import { nearest } from '../model/similar.js'

/** The keys of each kind of file. */
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
    'requires',
    'fix',
    'hazard',
    'at',
    'unless-set',
    'with',
    'without',
  ],
} as const

/** The kinds of file with a header. */
export type HeaderKind = keyof typeof headerKeys

/** A parsed header: the values by key, each with its line number from 1. */
export interface Header {
  values: Map<string, { value: string; line: number }>
  faults: Finding[]
}

/**
 * Reads the `--! key: value` lines at the top of a file. A line `--! more` without a key continues the value
 * before it. A key that is unknown, repeated or below the first statement is a fault with file and line.
 */
export function readHeader(text: string, path: string, kind: HeaderKind): Header {
  const values: Header['values'] = new Map()
  const faults: Finding[] = []
  const known: readonly string[] = headerKeys[kind]
  let open = true
  let last: { value: string; line: number } | null = null
  for (const { raw, line, between } of headerLines(text)) {
    const fault = (reason: string) => faults.push(finding('BAD_HEADER', `${path}:${line}`, { reason }))
    open &&= between.every(other => other.trim() === '' || other.startsWith('--'))
    if (!open) {
      fault('a header line must be above the first statement')
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
    if (!known.includes(key)) {
      const meant = nearest(key, known)
      fault(
        `unknown key \`${key}\`${meant === null ? ` (known: ${known.join(', ')})` : `: is \`${meant}\` meant?`}`,
      )
    } else if (values.has(key)) fault(`key \`${key}\` is repeated (first on line ${values.get(key)!.line})`)
    else if (value === '') fault(`key \`${key}\` has no value`)
    else {
      last = { value, line }
      values.set(key, last)
    }
  }
  return { values, faults }
}

/**
 * The lines that begin with `--!`, each with the lines since the previous one. It searches for them instead
 * of splitting the text into lines, because all files are read at every start.
 */
function* headerLines(text: string): Generator<{ raw: string; line: number; between: string[] }> {
  let line = 1
  let from = text.startsWith('\uFEFF') ? 1 : 0
  let at = text.indexOf('--!', from)
  while (at >= 0) {
    let next = at + 3
    if (at === from || /[\r\n]/.test(text[at - 1]!)) {
      // the last part is the empty text in front of the line
      const between = text
        .slice(from, at)
        .split(/\r\n|\n|\r/)
        .slice(0, -1)
      line += between.length
      const raw = /[^\r\n]*/.exec(text.slice(at))![0]
      yield { raw, line, between }
      from = next = at + raw.length
    }
    at = text.indexOf('--!', next)
  }
}

/** Splits at commas outside parentheses and quoted names. */
export const splitList = (value: string): string[] =>
  value.includes(',')
    ? value
        .split(/,(?=(?:[^"]*"[^"]*")*[^"]*$)(?![^()]*\))/)
        .map(part => part.trim())
        .filter(Boolean)
    : [value.trim()].filter(Boolean)
