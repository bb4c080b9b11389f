import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ForeignFile, Transaction } from '../model/foreign.js'
import type { Finding } from '../model/report.js'

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

/** One migration as the files of another tool have it. */
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
  /** Equal for two that the tool cannot tell apart. */
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

  /** A file in it, as it is shown and as it is read. */
  file(name: string): { path: string; text: string } {
    return { path: `${this.shown}${name}`, text: this.text(name) }
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

/** A slug as a title. */
export const titleOf = (slug: string): string => slug.replace(/[_-]+/g, ' ').trim()

/** Blanks that take as much room as a text, with its line ends: places behind it stay what they are. */
export const blankOf = (text: string): string => text.replace(/[^\r\n]/g, ' ')
