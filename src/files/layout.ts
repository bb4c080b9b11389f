import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ForeignFile, Transaction } from '../model/foreign.js'
import type { Finding } from '../model/report.js'

/**
 * The layout of another tool's migrations. Each file of `layouts/` has one. The name of the file is the name
 * of the layout, for `--layout`.
 */
export interface Layout {
  /** Name of the tool in a sentence. */
  title: string
  /** The usual folders of the tool in a repository, with `/` as separator. */
  folders: string[]
  /** A score that a folder has this layout: 0 for no. The layout with the highest score is used. */
  detect(folder: Folder): number
  /** Reads the migrations in the tool's order, and the faults of the files. */
  read(folder: Folder): LayoutReading
}

/** The migrations that a layout finds in a folder. */
export interface LayoutReading {
  migrations: LaidOut[]
  faults: Finding[]
}

/** One migration in the files of another tool. */
export interface LaidOut {
  /** Its name in the ledger: unique, and independent of the folder's place. */
  name: string
  title: string
  /** Path of the file, as shown to people. */
  path: string
  /** The part of the file that is applied. Parts that must not run are replaced by blanks. */
  text: string
  transaction: Transaction
  /** The rollback, if the files have one. */
  down: { path: string; text: string; transaction: Transaction } | null
  /** Equal for two migrations that the tool cannot distinguish. */
  key: string
  /** Faults of this file. They matter as long as it is not applied. */
  faults: Finding[]
  foreign: Omit<ForeignFile, 'faults'>
}

/** A folder on disk, as layouts read it. Every file is read at most once. */
export class Folder {
  /** Names of its files and folders, sorted by code units, without those that begin with a dot. */
  readonly files: string[] = []
  readonly folders: string[] = []
  private readonly texts = new Map<string, string>()
  private readonly below = new Map<string, Folder>()

  /** `shown` is the prefix of its paths in reports: empty, or ending with `/`. */
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

  /** Its files that end with `.sql`. */
  get sql(): string[] {
    return this.files.filter(name => name.endsWith('.sql'))
  }

  has(name: string): boolean {
    return this.files.includes(name) || this.folders.includes(name)
  }

  /** The text of a file in it. */
  text(name: string): string {
    const known = this.texts.get(name) ?? readFileSync(join(this.path, name), 'utf8')
    this.texts.set(name, known)
    return known
  }

  /** A file in it: its path in reports and its text. */
  file(name: string): { path: string; text: string } {
    return { path: `${this.shown}${name}`, text: this.text(name) }
  }

  /** A folder in it. It has no files if it does not exist. */
  folder(name: string): Folder {
    const known = this.below.get(name) ?? new Folder(join(this.path, name), `${this.shown}${name}/`)
    this.below.set(name, known)
    return known
  }

  /** Whether one of the first files matches. That is enough to distinguish the tools. */
  someText(pattern: RegExp): boolean {
    return this.sql.some(name => pattern.test(this.text(name)))
  }
}

/** Compares two texts by code units, as tools do that sort names. */
export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** A slug as a title. */
export const titleOf = (slug: string): string => slug.replace(/[_-]+/g, ' ').trim()

/** Blanks with the length and line ends of a text. Positions behind it do not change. */
export const blankOf = (text: string): string => text.replace(/[^\r\n]/g, ' ')
