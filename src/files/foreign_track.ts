import { isUtf8 } from 'node:buffer'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Migration, Project, Rollback, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { Folder, type LaidOut, type Layout } from './layout.js'
import { withoutOwnTransaction } from './own_transaction.js'
import { readMigration, readRollback, sourceOf } from './read_file.js'
import { lineOf } from './statements.js'

/** The layouts by name. */
export type Layouts = ReadonlyMap<string, Layout>

/** A folder and the layout that it has. */
interface FoundLayout {
  name: string
  layout: Layout
  folder: Folder
}

/**
 * Reads the migrations of other tools, in the folder itself or in the usual folders of a repository. Each
 * folder becomes a track with the name of its layout. `wanted` is the layout that a person named, else null.
 * Null if nothing is found.
 */
export function discoverForeign(root: string, layouts: Layouts, wanted: string | null): Project | null {
  const found = layoutsIn(root, layouts, wanted)
  if (found.length === 0) return null
  const faults: Finding[] = []
  const tracks: Track[] = []
  const unclear = new Map<string, string[]>()
  for (const place of found) {
    const twin = found.find(f => f !== place && f.name === place.name)
    if (!twin) tracks.push(foreignTrack(root, place))
    else if (!unclear.has(place.name)) unclear.set(place.name, [place.folder.shown, twin.folder.shown])
  }
  for (const [name, folders] of unclear)
    faults.push(finding('LAYOUT_UNCLEAR', name, { folders }, tracks.length > 0 ? 'warn' : 'error'))
  return { root, tracks, faults }
}

/** The root if it has a layout; else the usual folders that have one. */
function layoutsIn(root: string, layouts: Layouts, wanted: string | null): FoundLayout[] {
  const here = layoutOf(new Folder(root, ''), layouts, wanted)
  if (here && here.sure >= certain) return [here.found]
  const places = [...new Set([...layouts.values()].flatMap(l => l.folders))].sort()
  const found: FoundLayout[] = []
  for (const place of places) {
    if (!existsSync(join(root, place))) continue
    const at = layoutOf(new Folder(join(root, place), `${place}/`), layouts, wanted)
    if (at) found.push(at.found)
  }
  return found.length > 0 || !here ? found : [here.found]
}

/** From this score on a layout is certain. Numbered files alone may be anything. */
const certain = 20

function layoutOf(
  folder: Folder,
  layouts: Layouts,
  wanted: string | null,
): { found: FoundLayout; sure: number } | null {
  let best: FoundLayout | null = null
  let sure = 0
  for (const [name, layout] of layouts) {
    if (wanted !== null && name !== wanted) continue
    const score = layout.detect(folder)
    if (score <= sure) continue
    best = { name, layout, folder }
    sure = score
  }
  return best && { found: best, sure }
}

function foreignTrack(root: string, { name, layout, folder }: FoundLayout): Track {
  const reading = layout.read(folder)
  const faults = [...reading.faults]
  const known = new Map<string, LaidOut>()
  for (const m of reading.migrations) {
    const other = known.get(m.key)
    if (other)
      faults.push(
        finding('DUPLICATE_VERSION', m.path, { version: m.foreign.version || m.key, other: other.path }),
      )
    else known.set(m.key, m)
  }
  const migrations = reading.migrations.map(m => foreignMigration(root, name, m))
  const about = { name, title: layout.title, folder: folder.shown || '.', faults }
  return { name, root, layout: about, migrations, checks: [] }
}

function foreignMigration(root: string, track: string, m: LaidOut): Migration {
  const faults: Finding[] = [...m.faults, ...unreadable(root, m.path, m.text)]
  // a rollback without a statement is a template that nobody filled in
  const rollback = m.down && hasStatements(m.down.text) ? foreignRollback(m.name, m.down, faults) : null
  const { text, transaction } = unwrapped(m)
  const source = sourceOf(m.name, m.path, text)
  const read = readMigration(track, m.foreign.version, source, rollback, faults)
  const says = source.header('migration').values
  return {
    ...read,
    title: says.has('title') ? read.title : m.title,
    transaction: says.has('transaction') ? read.transaction : transaction,
    foreign: { ...m.foreign, faults },
  }
}

function foreignRollback(base: string, down: NonNullable<LaidOut['down']>, faults: Finding[]): Rollback {
  const { text, transaction } = unwrapped(down)
  const source = sourceOf(base, down.path, text)
  const read = readRollback(source, faults)
  return source.header('rollback').values.has('transaction') ? read : { ...read, transaction }
}

/** The text without its own BEGIN and COMMIT, and how to run it. */
function unwrapped({ text, transaction }: Pick<LaidOut, 'text' | 'transaction'>) {
  const whole = withoutOwnTransaction(text)
  return whole === null ? { text, transaction } : { text: whole, transaction: 'one' as const }
}

/** Whether a text has more than comments. */
const hasStatements = (text: string): boolean =>
  text.replace(/--[^\n]*|\/\*[\s\S]*?\*\/|[\s;\uFEFF]+/g, '') !== ''

/** Faults of a text that cannot be SQL. */
function unreadable(root: string, path: string, text: string): Finding[] {
  if (text.includes('\uFFFD') && !isUtf8(readFileSync(join(root, path)))) return [finding('NOT_UTF8', path)]
  const nul = text.indexOf('\0')
  if (nul < 0) return []
  const { line, column } = lineOf(text, nul)
  return [finding('SYNTAX', `${path}:${line}`, { column, excerpt: '', reason: 'a NUL character' })]
}
