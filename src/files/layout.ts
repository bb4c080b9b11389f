import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ForeignFile, Transaction } from '../model/foreign.js'
import { type Finding, finding } from '../model/report.js'

/**
 * How another tool lays out its migrations. A file of `layouts/` is one layout; its name is that of the file,
 * and `--layout` takes it.
 */
export interface Layout {
  /** The tool, as a sentence names it. */
  title: string
  /** Folders of a repository in which the tool keeps its files by itself, `/` between their parts. */
  folders: string[]
  /** How sure it is that a folder has this layout: 0 for no; the highest of all layouts has it. */
  detect(folder: Folder): number
  /** The migrations in the order in which the tool applies them, and what is wrong with the files. */
  read(folder: Folder): LayoutReading
}

/** What a layout makes of a folder. */
export interface LayoutReading {
  migrations: LaidOut[]
  faults: Finding[]
}

/** One migration as it stands in files of another tool. */
export interface LaidOut {
  /** Its name in the ledger: unique, and the same wherever the folder lies. */
  name: string
  title: string
  /** Path of the file, as shown to people. */
  path: string
  /** The file's text up to where it stops being what is applied; what is not to run is blanked. */
  text: string
  transaction: Transaction
  /** The way back, where the files have one. */
  down: { path: string; text: string; transaction: Transaction } | null
  /** Equal for two that the tool can not tell apart. */
  key: string
  /** What is wrong with this file: it matters as long as it is not applied. */
  faults: Finding[]
  foreign: Omit<ForeignFile, 'faults'>
}

/** A folder on disk as layouts look at it. Nothing is read twice. */
export class Folder {
  /** Names of the files and folders in it, sorted by code units, those that begin with a dot left out. */
  readonly files: string[] = []
  readonly folders: string[] = []
  private readonly texts = new Map<string, string>()
  private readonly below = new Map<string, Folder>()

  /** `shown`: how paths in it begin, in reports; empty or with a `/` at its end. */
  constructor(
    readonly path: string,
    readonly shown: string,
  ) {
    const entries = existsSync(path) ? readdirSync(path, { withFileTypes: true }) : []
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue
      if (entry.isDirectory()) this.folders.push(entry.name)
      else if (entry.isFile() || entry.isSymbolicLink()) this.files.push(entry.name)
    }
    this.files.sort(byText)
    this.folders.sort(byText)
  }

  /** The files whose names end with `.sql`. */
  get sql(): string[] {
    return this.files.filter(name => name.endsWith('.sql'))
  }

  has(name: string): boolean {
    return this.files.includes(name) || this.folders.includes(name)
  }

  /** Text of a file in it. */
  text(name: string): string {
    const known = this.texts.get(name) ?? readFileSync(join(this.path, name), 'utf8')
    this.texts.set(name, known)
    return known
  }

  /** A folder in it; one without files where there is none. */
  folder(name: string): Folder {
    const known = this.below.get(name) ?? new Folder(join(this.path, name), `${this.shown}${name}/`)
    this.below.set(name, known)
    return known
  }

  /** Whether the text of one of the first files matches: enough to tell one tool's files from another's. */
  someText(pattern: RegExp): boolean {
    return this.sql.some(name => pattern.test(this.text(name)))
  }
}

/** Compares two texts by code units, as the tools do that sort names. */
export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Digits without leading zeros, so that they compare as a number of any length. */
export const withoutZeros = (digits: string): string => digits.replace(/^0+(?=\d)/, '')

/** Compares digits as numbers. */
export const byNumber = (a: string, b: string): number => {
  const [x, y] = [withoutZeros(a), withoutZeros(b)]
  return x.length - y.length || byText(x, y)
}

/** A slug as a title. */
export const titleOf = (slug: string): string => slug.replace(/[_-]+/g, ' ').trim()

/** Blanks that take as much room as a text, with its line ends: places behind it stay what they are. */
export const blankOf = (text: string): string => text.replace(/[^\r\n]/g, ' ')

/** A marker in a file: the line, and what stands behind it. */
export interface Marker {
  start: number
  end: number
  rest: string
}

/** The lines of a text that match a pattern, which must have the flags `g` and `m`. */
export const markersOf = (text: string, pattern: RegExp): Marker[] =>
  [...text.matchAll(pattern)].map(m => ({
    start: m.index,
    end: m.index + m[0].length,
    rest: (m[1] ?? '').trim(),
  }))

/** The parts of a file that a tool divides by marker lines: what is applied, and the way back. */
export function partsBetween(
  text: string,
  up: Marker | undefined,
  down: Marker | undefined,
): { up: string; down: string | null } {
  const end = (of: Marker, other: Marker | undefined) =>
    other && other.start > of.start ? other.start : text.length
  const from = up ? (down && down.start < up.start ? up.start : 0) : 0
  return {
    up: blankOf(text.slice(0, from)) + text.slice(from, up ? end(up, down) : (down?.start ?? text.length)),
    down: down ? blankOf(text.slice(0, down.start)) + text.slice(down.start, end(down, up)) : null,
  }
}

/** Files that end with `.sql` and that the tool does not take for migrations. */
export const unnumbered = (folder: Folder, names: string[], wanted: string): Finding[] =>
  names.map(name => finding('UNNUMBERED_FILE', `${folder.shown}${name}`, { wanted }))

/**
 * Versions whose order by text and by number differ, where that is probably not meant: dates of 8 and of 14
 * digits in one folder; for a tool that compares texts, any two such.
 */
export function mixedDigits(
  files: { version: string; path: string }[],
  compares: 'text' | 'numbers',
): Finding[] {
  const least = compares === 'text' ? 1 : 8
  for (const [i, after] of files.entries()) {
    const before = files[i - 1]
    if (!before || before.version.length === after.version.length) continue
    const [text, number] = [byText(before.version, after.version), byNumber(before.version, after.version)]
    if (text * number >= 0 || Math.min(before.version.length, after.version.length) < least) continue
    return [finding('MIXED_DIGITS', after.path, { before: before.path, compares })]
  }
  return []
}
