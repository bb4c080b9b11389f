import { byText, type Layout, mixedDigits, titleOf, unnumbered, withoutZeros } from '../layout.js'

const supabaseName = /^([0-9]+)_(.*)\.sql$/

/** `supabase/migrations/<14 digits>_name.sql`; the CLI sorts the names as texts, and has no way back. */
export default {
  title: 'the Supabase CLI',
  folders: ['supabase/migrations'],
  detect: folder => {
    const ours = folder.sql.filter(name => supabaseName.test(name))
    if (ours.length === 0) return 0
    if (/(^|[\\/])supabase[\\/]migrations[\\/]?$/.test(folder.path)) return 60
    return folder.someText(/^--\s*(migrate:up|\+goose\s+up)/im)
      ? 0
      : ours.every(n => /^\d{14}_/.test(n))
        ? 15
        : 0
  },
  read: folder => {
    const names = folder.sql.filter(name => supabaseName.test(name)).sort(byText)
    const migrations = names.map(file => {
      const [, version, slug] = supabaseName.exec(file) as unknown as [string, string, string]
      const source = folder.text(file)
      return {
        name: file.slice(0, -4),
        title: titleOf(slug),
        path: `${folder.shown}${file}`,
        text: source,
        transaction: 'as-needed' as const,
        down: null,
        key: version,
        faults: [],
        foreign: { version, description: slug, script: file, source, repeatable: false, at: null },
      }
    })
    const others = folder.sql.filter(name => !supabaseName.test(name))
    return {
      migrations,
      faults: [
        ...unnumbered(folder, others, '<timestamp>_name.sql'),
        ...mixedDigits(
          migrations.map(m => ({ version: withoutZeros(m.foreign.version), path: m.path })),
          'text',
        ),
      ],
    }
  },
} satisfies Layout
