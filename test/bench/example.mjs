import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Fills an empty database with the example of merged chats: so many messages, in so many workspaces (one for
 * each 500 messages, if it is left out).
 */
export async function fillExample(sql, root, { messages, workspaces = '' } = {}) {
  await sql.unsafe(
    `set synchronous_commit = off; set demo.messages = '${messages ?? ''}'; set demo.workspaces = '${workspaces}'`,
  )
  for (const file of ['supabase-shim.sql', 'workspace-sessions/before.sql'])
    await sql.unsafe(readFileSync(join(root, 'examples', file), 'utf8'))
}

/** Prepares it for ways without a quarantine: rows that fit no session are gone. */
export async function withoutAwkwardRows(sql) {
  await sql.unsafe(
    'delete from chats c where created_at is null or workspace_id is null or not exists (select from workspaces w where w.id = c.workspace_id and w.owner_id is not null)',
  )
  await sql.unsafe('vacuum (analyze) chats')
  await sql.unsafe('checkpoint')
}
