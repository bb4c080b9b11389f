import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '../model/failure.js'
import { type ForeignFile, foreignFile } from '../model/foreign.js'
import type { Migration, Track } from '../model/project.js'
import { type BackfillExport, exportedParts } from './exported_parts.sql.js'
import { supabaseNames } from './layouts/supabase.js'

/** The folder of the Supabase CLI's files, below its working directory. */
export const supabaseFolder = 'supabase/migrations'

/** The first line of an exported file. It names the migration and the part. */
const mark = /^-- rethread: ([\w-]+)\/(\w+), part (\d+) of (\d+)$/m

/** A file that an export wrote. */
interface ExportedFile {
  track: string
  migration: string
  /** Counts from 1. */
  part: number
  name: string
  text: string
}

/** The exported files in a folder, in the order in which they are applied. */
function readExported(folder: string): ExportedFile[] {
  return sqlNames(folder).flatMap(name => {
    const text = readFileSync(join(folder, name), 'utf8')
    const [, track, migration, part] = mark.exec(text.slice(0, text.indexOf('\n'))) ?? []
    return track ? [{ track, migration: migration!, part: Number(part), name, text }] : []
  })
}

const sqlNames = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter(name => supabaseNames.pattern.test(name))
        .sort()
    : []

/**
 * The exported files of a track by migration, as the Supabase CLI identifies them. Empty if there are none.
 */
export function exportedFiles(folder: string, track: string): ReadonlyMap<string, readonly ForeignFile[]> {
  const found = new Map<string, ForeignFile[]>()
  for (const { migration, name, text } of readExported(folder).filter(f => f.track === track)) {
    const [, version, description] = supabaseNames.pattern.exec(name) as unknown as [string, string, string]
    const file = foreignFile({ version, description, script: name, source: text })
    found.set(migration, [...(found.get(migration) ?? []), { ...file, faults: [] }])
  }
  return found
}

/** A file of an export. */
export interface Exported {
  file: string
  migration: string
  note: string | null
  /** False for a file that already existed with this text. */
  isNew: boolean
}

/**
 * Writes migrations of a track as files for the Supabase CLI, after the existing files. Exported files are
 * never changed, because a database may have applied them. Throws EXPORT_CONFLICT, before anything is
 * written, if an existing file would differ now or would come after a new one.
 */
export async function exportToSupabase(
  track: Track,
  migrations: Migration[],
  folder: string,
  options: { backfills: BackfillExport; from: Date },
): Promise<Exported[]> {
  const before = readExported(folder).filter(f => f.track === track.name)
  const contract = track.migrations.find(m => m.phase === 'contract')
  const wanted = await Promise.all(
    migrations.map(async m => {
      const checks = track.checks.filter(c => c.gate === m.name && c.kind === 'check')
      const earlier = m === contract ? track.migrations.filter(x => x.phase === 'backfill') : []
      const parts = await exportedParts(m, { checks, earlier, backfills: options.backfills })
      return parts.map(({ text, note }, i) => ({
        migration: m.name,
        part: i + 1,
        note,
        slug: `${track.name.replaceAll('-', '_')}_${m.name}${parts.length > 1 ? `_${i + 1}` : ''}`,
        text: `-- rethread: ${track.name}/${m.name}, part ${i + 1} of ${parts.length}\n-- ${m.title}\n${text}`,
      }))
    }),
  )
  let version = firstVersion(sqlNames(folder), options.from)
  const files: (Exported & { text: string })[] = []
  let added: string | null = null
  for (const { migration, part, note, slug, text } of wanted.flat()) {
    const there = before.find(f => f.migration === migration && f.part === part)
    if (there && there.text !== text)
      throw new Failure('EXPORT_CONFLICT', join(folder, there.name), {
        reason: `${migration} would be exported otherwise now`,
      })
    if (there && added)
      throw new Failure('EXPORT_CONFLICT', join(folder, there.name), {
        reason: `${added} comes before it, and a new file would be applied after it`,
      })
    if (!there) added = migration
    files.push({ file: there?.name ?? `${version}_${slug}.sql`, migration, note, isNew: !there, text })
    if (!there) version = secondsAfter(version, 1)
  }
  mkdirSync(folder, { recursive: true })
  for (const { file, text, isNew } of files) if (isNew) writeFileSync(join(folder, file), text)
  return files.map(({ text: _, ...file }) => file)
}

/** The given time, or one second after the last file if that is later. */
function firstVersion(names: string[], from: Date): string {
  const now = secondsAfter(digitsOf(from), 0)
  const last = names
    .map(name => /^\d+/.exec(name)![0])
    .sort()
    .at(-1)
  if (last === undefined || last < now) return now
  if (last.length !== 14)
    throw new Failure('EXPORT_CONFLICT', last, {
      reason: 'its version is later than every time of 14 digits',
    })
  return secondsAfter(last, 1)
}

/** A time in UTC as 14 digits. */
const digitsOf = (time: Date): string => time.toISOString().replace(/\D/g, '').slice(0, 14)

function secondsAfter(digits: string, seconds: number): string {
  const [year, month, day, hour, minute, second] = [0, 4, 6, 8, 10, 12].map((at, i) =>
    Number(digits.slice(at, i === 0 ? 4 : at + 2)),
  ) as [number, number, number, number, number, number]
  return digitsOf(new Date(Date.UTC(year, month - 1, day, hour, minute, second + seconds)))
}
