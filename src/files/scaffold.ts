import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Failure, UsageError } from '../model/failure.js'
import type { Track } from '../model/project.js'
import { compareVersions } from '../model/versions.js'
import { type ConfigValues, configName } from './config.js'
import { projectFolders } from './discover.js'

/** Writes a file and creates its folders. Throws FILE_EXISTS if it exists. */
function create(path: string, text: string): void {
  if (existsSync(path)) throw new Failure('FILE_EXISTS', path)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

/** Folder with the stories of checks, in a repository that tests its checks. */
const stories = 'test/checks'

/** True for a repository with stories of checks. An installed package has none. */
export const hasStories = (root: string): boolean => existsSync(join(root, stories))

/** Converts a text to a slug: words joined by underscores, beginning with a letter. */
const slugOf = (text: string): string =>
  text
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^[^a-z]+|_+$/g, '')

/**
 * Writes the three files of a new migration with the next free version, and the story of its check if the
 * repository has stories. Returns their paths. Throws FILE_EXISTS or USAGE before anything is written.
 */
export function newMigration(root: string, track: string, slug: string, tracks: Track[]): string[] {
  if (!/^[a-z][a-z0-9_]*$/.test(slug))
    throw new UsageError(`new ${slug}`, 'a slug is lower_case_with_underscores', {
      meant: /[a-z]/i.test(slug) ? `rethread new ${slugOf(slug)}` : null,
    })
  const existing = tracks.find(t => t.name === track)?.migrations ?? []
  const last =
    existing
      .map(m => m.version)
      .sort(compareVersions)
      .at(-1) ?? '0'
  const newest = existing.at(-1)
  const width = Math.max(3, newest ? newest.name.indexOf('_') : 0)
  // after a contract migration a track continues with contract: phases never go back
  const phase = newest?.phase === 'contract' ? 'contract' : 'expand'
  const version = String(BigInt(last) + 1n).padStart(width, '0')
  const name = `${version}_${slug}`
  const title = slug.replaceAll('_', ' ').replace(/^./, c => c.toUpperCase())
  const files: [string, string][] = [
    [
      `migrations/${track}/${name}.sql`,
      `--! title: ${title}\n--! phase: ${phase}\n\n-- The SQL of this step, and in comments why. An application that runs must work before and after it.\nselect 1;\n`,
    ],
    [
      `rollbacks/${track}/${name}.sql`,
      `--! title: Take back: ${title.toLowerCase()}\n\n-- Undo exactly what the migration does; rethread rollback --test proves it.\nselect 1;\n`,
    ],
    [
      `verify/${track}/${slug}.sql`,
      `--! title: ${title}: it is as it should be\n--! after: ${name}\n\n-- A row for each thing that is wrong; no row is a pass.\nselect 'object' as object, 'what is wrong with it' as detail\nwhere false\norder by 1\n`,
    ],
  ]
  if (hasStories(root))
    files.push([
      `${stories}/${track}/${slug}.sql`,
      '-- fault\n-- Break what the check looks for: it must find it.\nselect 1;\n-- fix\n-- Put it right: it must find nothing.\nselect 1;\n',
    ])
  const taken = files.find(([path]) => existsSync(join(root, path)))
  if (taken) throw new Failure('FILE_EXISTS', taken[0])
  for (const [path, text] of files) create(join(root, path), text)
  return files.map(([path]) => path)
}

/**
 * Rewrites a file of a track, given its folder and name. Returns null for a file that the copy does not need.
 */
export type RewriteFile = (folder: string, file: string, text: string) => Promise<string | null>

/** The files of a track's copy: path and text. */
export async function copiedFiles(
  track: Track,
  rewrite: RewriteFile | null,
): Promise<{ path: string; text: string }[]> {
  const all = projectFolders.flatMap(folder => {
    const from = join(track.root, folder, track.name)
    return existsSync(from) ? readdirSync(from).map(file => ({ folder, file, path: join(from, file) })) : []
  })
  const files = await Promise.all(
    all.map(async f => {
      const text = readFileSync(f.path, 'utf8')
      return {
        path: join(f.folder, track.name, f.file),
        text: rewrite ? await rewrite(f.folder, f.file, text) : text,
      }
    }),
  )
  return files.flatMap(({ path, text }) => (text === null ? [] : [{ path, text }]))
}

/**
 * Copies a track's three folders and its description into a user's folder. Returns the paths. Throws
 * FILE_EXISTS before anything is written.
 */
export async function copyTrack(
  track: Track,
  to: string,
  rewrite: RewriteFile | null,
  config: ConfigValues,
): Promise<string[]> {
  // read and rewrite everything before writing anything
  const texts = await copiedFiles(track, rewrite)
  const taken = texts.find(f => existsSync(join(to, f.path)))
  if (taken) throw new Failure('FILE_EXISTS', join(to, taken.path))
  for (const { path, text } of texts) create(join(to, path), text)
  const written = texts.map(f => f.path)
  if (!existsSync(join(to, configName))) {
    create(join(to, configName), `${JSON.stringify(config, null, 2)}\n`)
    written.push(configName)
  }
  return written
}
