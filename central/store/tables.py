"""All tables, known to one metadata: what migrations are compared with."""

from sqlalchemy import MetaData

import central.accounts.models
import central.alarms.models
import central.api.models
import central.audit.models
import central.ccee.models
import central.enrolment.models
import central.fleet.models
import central.ingest.models
import central.metering.models
import central.registry.models
import central.reports.models
import central.webhooks.models  # noqa: F401
from central.store.base import Base

metadata: MetaData = Base.metadata
