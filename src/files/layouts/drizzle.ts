import { foreignFile } from '../../model/foreign.js'
import { type Finding, finding } from '../../model/report.js'
import { type Folder, type LaidOut, type Layout, type LayoutReading, titleOf } from '../layout.js'

const journal = 'meta/_journal.json'

/** `meta/_journal.json` names the files in their order; from version 1 on, folders with `migration.sql`. */
export default {
  title: 'Drizzle',
  folders: [
    'drizzle',
    'drizzle/migrations',
    'src/drizzle',
    'src/db/migrations',
    'src/db/drizzle',
    'migrations',
  ],
  detect: folder => {
    if (folder.folder('meta').files.includes('_journal.json')) return 55
    return folderNames(folder).some(name => folder.folder(name).files.includes('snapshot.json')) ? 50 : 0
  },
  read: folder =>
    folder.folder('meta').files.includes('_journal.json') ? readJournal(folder) : readFolders(folder),
} satisfies Layout

const folderNames = (folder: Folder): string[] =>
  folder.folders.filter(name => folder.folder(name).files.includes('migration.sql'))

function laidOut(name: string, path: string, script: string, source: string, at: number | null): LaidOut {
  const [, version = '', slug = name] = /^(\d+)_(.*)$/.exec(name) ?? []
  return {
    name,
    title: titleOf(slug),
    path,
    text: divided(source),
    transaction: 'as-needed',
    down: null,
    key: name,
    faults: [],
    foreign: { ...foreignFile({ version, description: slug, script, source }), at },
  }
}

/** Ends statements at breakpoints, also where a semicolon is missing. Positions in the text do not change. */
const divided = (text: string): string =>
  text.replace(/-->(?=[ \t]*statement-breakpoint)/g, (mark, at: number) =>
    /[;\s]*$/.exec(text.slice(Math.max(0, at - 200), at))![0].includes(';') ? mark : ';--',
  )

function readFolders(folder: Folder): LayoutReading {
  const migrations = folderNames(folder).map(name => {
    const own = folder.folder(name)
    const at = /^\d{14}/.exec(name)?.[0]
    return laidOut(name, `${own.shown}migration.sql`, name, own.text('migration.sql'), at ? timeOf(at) : null)
  })
  return { migrations, faults: [] }
}

/** The time of fourteen digits (UTC), in milliseconds since 1970. */
const timeOf = (digits: string): number =>
  Date.parse(digits.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/, '$1-$2-$3T$4:$5:$6Z'))

function readJournal(folder: Folder): LayoutReading {
  const path = `${folder.shown}${journal}`
  const faults: Finding[] = []
  const entries = entriesOf(folder.folder('meta').text('_journal.json'))
  if (typeof entries === 'string')
    return { migrations: [], faults: [finding('BAD_LAYOUT', path, { reason: entries })] }
  const migrations: LaidOut[] = []
  for (const { tag, when } of entries) {
    const file = `${tag}.sql`
    if (!folder.files.includes(file)) {
      faults.push(finding('BAD_LAYOUT', path, { reason: `it names ${tag}, and there is no ${file}` }))
      continue
    }
    migrations.push(laidOut(tag, `${folder.shown}${file}`, file, folder.text(file), when))
  }
  const named = new Set(entries.map(e => `${e.tag}.sql`))
  for (const name of folder.sql)
    if (!named.has(name)) faults.push(finding('NOT_IN_JOURNAL', `${folder.shown}${name}`, { journal: path }))
  for (const [i, { tag, when }] of entries.entries()) {
    // Drizzle applies entries that are newer than the newest applied one, so it would skip an older one here
    const before = entries[i - 1]
    if (before && when < before.when)
      faults.push(
        finding('MIXED_DIGITS', `${folder.shown}${tag}.sql`, {
          before: `${folder.shown}${before.tag}.sql`,
          compares: 'times',
        }),
      )
  }
  return { migrations, faults }
}

/** The entries of a journal in order, or the fault of the journal. */
function entriesOf(text: string): { tag: string; when: number }[] | string {
  let read: unknown
  try {
    read = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return error.message
  }
  const { dialect, entries } = (read ?? {}) as { dialect?: unknown; entries?: unknown }
  if (typeof dialect === 'string' && !/^(pg|postgresql)$/.test(dialect))
    return `the files are for ${dialect}, not for PostgreSQL`
  if (!Array.isArray(entries)) return 'it has no list `entries`'
  const fits = (e: unknown): e is { idx: number; tag: string; when: number } => {
    const { idx, tag, when } = (e ?? {}) as Record<string, unknown>
    return (
      typeof idx === 'number' && typeof tag === 'string' && typeof when === 'number' && !/[\\/]/.test(tag)
    )
  }
  if (!entries.every(fits)) return 'each of its entries needs `idx`, `tag` and `when`'
  return [...entries].sort((a, b) => a.idx - b.idx)
}
