// `plan` of 200 pending migrations against the catalog queries that it asks, and reading 1,000 files.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A track of so many files, each with its rollback; one check. */
function track(files) {
  const dir = mkdtempSync(join(tmpdir(), 'rethread-plan-'))
  for (const f of ['migrations', 'rollbacks', 'verify']) mkdirSync(join(dir, f, 'many'), { recursive: true })
  for (let i = 1; i <= files; i++) {
    const name = `${String(i).padStart(4, '0')}_step`
    writeFileSync(
      join(dir, 'migrations/many', `${name}.sql`),
      `create table public.t${i} (id uuid primary key default gen_random_uuid(), parent uuid, name text not null);\ncreate index t${i}_parent on public.t${i} (parent);\nalter table public.t${i} enable row level security;\n`,
    )
    writeFileSync(join(dir, 'rollbacks/many', `${name}.sql`), `drop table public.t${i};\n`)
  }
  writeFileSync(join(dir, 'verify/many/none.sql'), "select 'x' as object, 'y' as detail where false\n")
  return dir
}

export default async function plan({ rethread, server, median, table }) {
  const db = await server()
  const time = async (dir, args) => {
    const seconds = []
    for (let i = 0; i < 7; i++) seconds.push((await rethread(db.url, [...args, '--dir', dir])).seconds)
    return median(seconds)
  }
  const one = track(1)
  const few = track(200)
  const many = track(1000)
  const result = {
    'plan, 1 file s': (await time(one, ['plan'])).toFixed(2),
    'plan, 200 files s': (await time(few, ['plan'])).toFixed(2),
    'plan, 1,000 files s': (await time(many, ['plan'])).toFixed(2),
  }
  table([result])
  await db.stop()
  for (const dir of [one, few, many]) rmSync(dir, { recursive: true, force: true })
  return result
}
