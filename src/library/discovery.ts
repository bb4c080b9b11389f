import { readdirSync } from 'node:fs'
import { relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { hasTracks, tracksLayout, type WantedLayouts } from '../files/discover.js'
import type { Layout } from '../files/layout.js'
import { home } from '../files/package.js'
import { oneOf } from '../model/options.js'
import type { Renderer } from '../render/renderer.js'

/** The folder of the running code: `src`, or `dist` if it is built. */
const codeFolder = relative(home, fileURLToPath(import.meta.url)).split(sep)[0]!

/** A folder whose files are found at run time. Each file is one command, format or layout. */
export const folderOf = (name: 'commands' | 'render' | 'files/layouts'): URL =>
  pathToFileURL(`${home}/${codeFolder}/${name}/`)

/** The files of such a folder, name -> address. None of them is loaded. */
export function filesIn(folder: URL): Map<string, string> {
  const found = new Map<string, string>()
  for (const file of readdirSync(folder).sort()) {
    const name = /^(.+)\.(?:js|ts)$/.exec(file)?.[1]
    if (name && !name.endsWith('.d')) found.set(name, new URL(file, folder).href)
  }
  return found
}

/** The renderer of a format; null if there is none. Loads only its file. */
export async function rendererOf(format: string): Promise<Renderer | null> {
  const file = filesIn(folderOf('render')).get(format)
  if (file === undefined) return null
  // a file without a default export is a helper of formats
  return ((await import(file)) as { default?: Renderer }).default ?? null
}

/** The formats by file name ending. Loads every file, as `formats` does. */
export async function formatsByEnding(): Promise<Map<string, string>> {
  const names = await formats()
  const renderers = await Promise.all(names.map(rendererOf))
  return new Map(names.flatMap((name, i) => (renderers[i]!.endings ?? []).map(end => [end, name] as const)))
}

/**
 * The names of all formats. Loads every file, so it is only for help texts and for the error about an unknown
 * format.
 */
export async function formats(): Promise<string[]> {
  const names = [...filesIn(folderOf('render')).keys()]
  const renderers = await Promise.all(names.map(rendererOf))
  return names.filter((_, i) => renderers[i] !== null)
}

/**
 * The layouts of other tools for a folder. Null if it has tracks of rethread and no other layout is `wanted`.
 * Throws USAGE for an unknown layout.
 */
export async function layoutsFor(root: string, wanted: string | null): Promise<WantedLayouts | null> {
  const files = filesIn(folderOf('files/layouts'))
  if (wanted !== null) oneOf('--layout', wanted, [tracksLayout, ...files.keys()])
  if (wanted === tracksLayout || (wanted === null && (root === home || hasTracks(root)))) return null
  const loaded = await Promise.all(
    [...files].map(
      async ([name, file]) => [name, ((await import(file)) as { default: Layout }).default] as const,
    ),
  )
  return { layouts: new Map(loaded), wanted }
}
