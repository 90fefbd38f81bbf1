-- retry-after.lua - the last touch to an error that lighttpd made in place of futaie
--
-- Runs for those errors only (server.error-handler in lighttpd.conf), when the answer's header is ready: on every
-- request it would cost 3 % of lighttpd's time.
local r = lighty.r

if r.req_item.http_status == 503 then
    r.resp_header["Retry-After"] = "1"
end

-- For the access log, which would name the error handler's path.
r.req_attr["request.uri"] = r.req_attr["request.orig-uri"]
return 0
