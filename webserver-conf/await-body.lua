-- await-body.lua - read the whole body before the request goes on
--
-- Without it lighttpd answers a 503 to a POST as soon as it has the header. Over HTTP/2 that is allowed, but curl 7.88
-- (Debian 12's) then drops the answer and prints nothing. Attached to curl alone: it costs 3 us a request.
return lighty.r.req_body.collect and 0 or nil
