import { type Finding, finding } from '../model/report.js'
import { byNumber, withoutZeros } from '../model/versions.js'
import { byText, type Folder, type LaidOut, type LayoutReading } from './layout.js'

/** How a tool names its files, and how it orders them. */
interface NumberedNames {
  /** The first group is the version, the second the rest of the name. */
  pattern: RegExp
  /** The pattern as people write it. */
  wanted: string
  compares: 'text' | 'numbers'
  /** Files that belong to a migration, for example its rollback. */
  beside?: RegExp
}

/** A file with a version. `slug` is empty if the name has no other part. */
export interface NumberedFile {
  file: string
  version: string
  slug: string
}

/**
 * Reads the files of a folder whose names begin with a version, in the tool's order. `more` returns further
 * faults; it is called after all files were read.
 */
export function readNumbered(
  folder: Folder,
  names: NumberedNames,
  read: (file: NumberedFile) => LaidOut,
  more: (migrations: LaidOut[]) => Finding[] = () => [],
): LayoutReading {
  const files = folder.sql.filter(file => !names.beside?.test(file))
  const numbered = files.flatMap(file => {
    const [, version, slug = ''] = names.pattern.exec(file) ?? []
    return version === undefined ? [] : [{ file, version, slug }]
  })
  if (names.compares === 'numbers') numbered.sort((a, b) => byNumber(a.version, b.version))
  const migrations = numbered.map(read)
  const others = files.filter(file => !names.pattern.test(file))
  return {
    migrations,
    faults: [
      ...unnumbered(folder, others, names.wanted),
      ...more(migrations),
      ...mixedDigits(migrations, names.compares),
    ],
  }
}

/** UNNUMBERED_FILE for files that end with `.sql` but are no migrations for the tool. */
export const unnumbered = (folder: Folder, names: string[], wanted: string): Finding[] =>
  names.map(name => finding('UNNUMBERED_FILE', `${folder.shown}${name}`, { wanted }))

/**
 * Versions whose order as text differs from their order as numbers, where this is probably a mistake: dates
 * of 8 and of 14 digits in one folder; for a tool that compares texts, any two.
 */
export function mixedDigits(migrations: LaidOut[], compares: NumberedNames['compares']): Finding[] {
  const least = compares === 'text' ? 1 : 8
  const files = migrations
    .filter(m => /^\d+$/.test(m.foreign.version))
    .map(m => ({ version: withoutZeros(m.foreign.version), path: m.path }))
  for (const [i, after] of files.entries()) {
    const before = files[i - 1]
    if (!before || before.version.length === after.version.length) continue
    const [text, number] = [byText(before.version, after.version), byNumber(before.version, after.version)]
    if (text * number >= 0 || Math.min(before.version.length, after.version.length) < least) continue
    return [finding('MIXED_DIGITS', after.path, { before: before.path, compares })]
  }
  return []
}
