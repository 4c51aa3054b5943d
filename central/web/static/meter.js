// The tabs of a meter: going back loads the page anew, so that what it shows is never a picture of an hour ago.
htmx.config.historyCacheSize = 0;
htmx.config.refreshOnHistoryMiss = true;
