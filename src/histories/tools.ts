import type { HistoryTool } from '../model/other_tool.js'
import { dbmateHistory } from './dbmate.sql.js'
import { dieselHistory } from './diesel.sql.js'
import { drizzleHistory } from './drizzle.sql.js'
import { flywayHistory } from './flyway.sql.js'
import { golangMigrateHistory } from './golang_migrate.sql.js'
import { gooseHistory } from './goose.sql.js'
import { graphileMigrateHistory } from './graphile_migrate.sql.js'
import { nodePgMigrateHistory } from './node_pg_migrate.sql.js'
import { prismaHistory } from './prisma.sql.js'
import { sequelizeHistory } from './sequelize.sql.js'
import { sqitchHistory } from './sqitch.sql.js'
import { supabaseHistory } from './supabase.sql.js'
import type { ToolHistory } from './tool_history.js'

/** The history of each tool. */
export const histories: Record<HistoryTool, ToolHistory> = {
  supabase: supabaseHistory,
  dbmate: dbmateHistory,
  'golang-migrate': golangMigrateHistory,
  goose: gooseHistory,
  flyway: flywayHistory,
  diesel: dieselHistory,
  drizzle: drizzleHistory,
  prisma: prismaHistory,
  sequelize: sequelizeHistory,
  'node-pg-migrate': nodePgMigrateHistory,
  'graphile-migrate': graphileMigrateHistory,
  sqitch: sqitchHistory,
}
