import { foreignFile } from '../../model/foreign.js'
import { type Layout, titleOf } from '../layout.js'
import { readNumbered } from '../numbered_files.js'

/** How the Supabase CLI names its files. */
export const supabaseNames = {
  pattern: /^([0-9]+)_(.*)\.sql$/,
  wanted: '<timestamp>_name.sql',
  compares: 'text',
} as const

/** `supabase/migrations/<14 digits>_name.sql`. The CLI sorts the names as texts and has no rollbacks. */
export default {
  title: 'the Supabase CLI',
  folders: ['supabase/migrations'],
  detect: folder => {
    const ours = folder.sql.filter(name => supabaseNames.pattern.test(name))
    if (ours.length === 0) return 0
    if (/(^|[\\/])supabase[\\/]migrations[\\/]?$/.test(folder.path)) return 60
    return folder.someText(/^--\s*(migrate:up|\+goose\s+up)/im)
      ? 0
      : ours.every(n => /^\d{14}_/.test(n))
        ? 15
        : 0
  },
  read: folder =>
    readNumbered(folder, supabaseNames, ({ file, version, slug }) => {
      const { path, text: source } = folder.file(file)
      return {
        name: file.slice(0, -4),
        title: titleOf(slug),
        path,
        text: source,
        transaction: 'as-needed',
        down: null,
        key: version,
        faults: [],
        foreign: foreignFile({ version, description: slug, script: file, source }),
      }
    }),
} satisfies Layout
