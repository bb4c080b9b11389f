import { readdirSync } from 'node:fs'
import type { Renderer } from '../render/renderer.js'

/** The files of a folder, name -> address: one file = one command, or one format. None of them is loaded. */
export function filesIn(folder: URL): Map<string, string> {
  const found = new Map<string, string>()
  for (const file of readdirSync(folder).sort()) {
    const name = /^(.+)\.(?:js|ts)$/.exec(file)?.[1]
    if (name && !name.endsWith('.d')) found.set(name, new URL(file, folder).href)
  }
  return found
}

/** The renderer of a format; null where no file of the folder declares it. No other file is loaded. */
export async function rendererIn(folder: URL, format: string): Promise<Renderer | null> {
  const file = filesIn(folder).get(format)
  if (file === undefined) return null
  // a file without a default export is no format but what formats share
  return ((await import(file)) as { default?: Renderer }).default ?? null
}

/** The names of all formats. Loads every file: for help texts, and for the error about an unknown format. */
export async function formatsIn(folder: URL): Promise<string[]> {
  const names = [...filesIn(folder).keys()]
  const renderers = await Promise.all(names.map(name => rendererIn(folder, name)))
  return names.filter((_, i) => renderers[i] !== null)
}
