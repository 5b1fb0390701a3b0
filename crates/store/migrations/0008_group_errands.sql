-- What a user wanted of a response group where he was neither its caller nor its agent: listen, whisper, barge, sign_in,
-- sign_out, pause, resume. Other lines have nothing.
ALTER TABLE conversations ADD COLUMN errand TEXT;
